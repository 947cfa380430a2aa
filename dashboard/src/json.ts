/**
 * A JSON reader that keeps numbers as they were written, duplicate members, and the order of members.
 *
 * JSON.parse changes 12345678901234567890 and drops the first of two members with the same name. The service keeps
 * bodies byte for byte, so the dashboard has to show exactly what is stored. RFC 8259.
 */

export type Json =
  | { kind: "object"; members: [string, Json][] }
  | { kind: "array"; items: Json[] }
  /** `text` is the source text, including quotes. */
  | { kind: "string" | "number" | "word"; text: string };

interface Member {
  name: string;
  /** The range of the value in the text. */
  from: number;
  to: number;
}

const SPACE = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON strings contain no unescaped control characters
const STRING = /"(?:[^"\\\u0000-\u001f]|\\.)*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
// The service accepts 900 levels, and its response adds one around the body.
const MAX_DEPTH = 1000;

class Reader {
  at = 0;
  constructor(readonly text: string) {}

  take(pattern: RegExp): string | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? null;
    if (found !== null) this.at += found.length;
    return found;
  }

  /** Skip whitespace, and this character if it is next. */
  skip(character: string): boolean {
    this.take(SPACE);
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  expect(character: string): void {
    if (!this.skip(character)) throw new SyntaxError(`expected ${character} at ${this.at}`);
  }
}

/** Read a document. Throws SyntaxError. */
export function readJson(text: string): Json {
  const reader = new Reader(text);
  const value = readValue(reader, 0);
  reader.take(SPACE);
  if (reader.at !== text.length) throw new SyntaxError(`unexpected text at ${reader.at}`);
  return value;
}

function readValue(reader: Reader, depth: number): Json {
  if (depth > MAX_DEPTH) throw new SyntaxError("too deep");
  if (reader.skip("{")) return { kind: "object", members: readMembers(reader, depth) };
  if (reader.skip("[")) return { kind: "array", items: readItems(reader, depth) };
  const string = reader.take(STRING);
  if (string !== null) return { kind: "string", text: string };
  const scalar = reader.take(SCALAR);
  if (scalar === null) throw new SyntaxError(`unexpected text at ${reader.at}`);
  return { kind: /^[-\d]/.test(scalar) ? "number" : "word", text: scalar };
}

function readMembers(reader: Reader, depth: number): [string, Json][] {
  const members: [string, Json][] = [];
  if (reader.skip("}")) return members;
  do {
    reader.take(SPACE);
    const name = reader.take(STRING);
    if (name === null) throw new SyntaxError(`expected a name at ${reader.at}`);
    reader.expect(":");
    members.push([name, readValue(reader, depth + 1)]);
  } while (reader.skip(","));
  reader.expect("}");
  return members;
}

function readItems(reader: Reader, depth: number): Json[] {
  const items: Json[] = [];
  if (reader.skip("]")) return items;
  do items.push(readValue(reader, depth + 1));
  while (reader.skip(","));
  reader.expect("]");
  return items;
}

/** Return the source text of a member of an object, or null if there is no such member. */
export function memberText(text: string, wanted: string): string | null {
  const reader = new Reader(text);
  reader.expect("{");
  let found: Member | null = null;
  if (reader.skip("}")) return null;
  do {
    reader.take(SPACE);
    const name = reader.take(STRING);
    if (name === null) throw new SyntaxError(`expected a name at ${reader.at}`);
    reader.expect(":");
    reader.take(SPACE);
    const from = reader.at;
    readValue(reader, 0);
    if (JSON.parse(name) === wanted) found = { name, from, to: reader.at };
  } while (reader.skip(","));
  return found && text.slice(found.from, found.to);
}

/** Return the source texts of an array's items. Throws SyntaxError. */
export function itemTexts(text: string): string[] {
  const reader = new Reader(text);
  reader.expect("[");
  const texts: string[] = [];
  if (reader.skip("]")) return texts;
  do {
    reader.take(SPACE);
    const from = reader.at;
    readValue(reader, 0);
    texts.push(text.slice(from, reader.at));
  } while (reader.skip(","));
  return texts;
}

// A body with a thousand levels would be mostly indentation.
const MAX_INDENT = 40;

/**
 * Format JSON on several lines, changing only its whitespace, up to about `most` characters. A body of a
 * megabyte could otherwise grow to gigabytes, most of it indentation.
 */
export function pretty(value: Json, most = Number.POSITIVE_INFINITY): string {
  const parts: string[] = [];
  let length = 0;
  const put = (text: string) => {
    parts.push(text);
    length += text.length;
  };
  const line = (depth: number) => `\n${"  ".repeat(Math.min(depth, MAX_INDENT))}`;
  const write = (value: Json, depth: number): void => {
    if (value.kind !== "object" && value.kind !== "array") {
      put(value.text);
      return;
    }
    const [open, close] = value.kind === "object" ? "{}" : "[]";
    const members: [string, Json][] =
      value.kind === "object"
        ? value.members.map(([name, member]) => [`${name}: `, member])
        : value.items.map((item) => ["", item]);
    put(open as string);
    for (const [index, [name, member]] of members.entries()) {
      if (length > most) return;
      put(`${index > 0 ? "," : ""}${line(depth + 1)}${name}`);
      write(member, depth + 1);
    }
    put(members.length > 0 ? `${line(depth)}${close}` : (close as string));
  };
  write(value, 0);
  return parts.join("");
}
