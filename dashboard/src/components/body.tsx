/** A message's body: as a tree, as text, as bytes. Never as markup. */

import { useMemo, useState } from "preact/hooks";
import { bytes, count } from "../format";
import { type Json, pretty, readJson } from "../json";
import { Choice } from "./choice";
import { CopyTextButton } from "./copy";
import { Scroll } from "./scroll";

type View = "tree" | "text" | "hex";

/** A body as it came: the text of a JSON value, or bytes. */
export type Body = { json: string } | { bytes: Uint8Array };

// More than this is shown in parts: a tab must not freeze over a body of a megabyte.
const TEXT_AT_ONCE = 50_000;
const HEX_AT_ONCE = 4096;
const ITEMS_AT_ONCE = 100;

export function BodyView({ body }: { body: Body }) {
  const tree = useMemo(() => ("json" in body ? tryJson(body.json) : null), [body]);
  const [view, setView] = useState<View>(
    tree ? "tree" : "bytes" in body && !isText(body.bytes) ? "hex" : "text",
  );
  const octets = useMemo(() => ("json" in body ? new TextEncoder().encode(body.json) : body.bytes), [body]);
  const views: [View, string][] = [
    ...(tree ? ([["tree", "Tree"]] as [View, string][]) : []),
    ["text", "Text"],
    ["hex", "Hex"],
  ];
  return (
    <div class="body">
      <div class="toolbar">
        <Choice label="Show the body as" value={view} onValue={setView} options={views} />
        <span class="faint">{bytes(octets.length)}</span>
        <CopyTextButton text={() => plain(body)}>Copy the body</CopyTextButton>
      </div>
      {octets.length === 0 ? (
        <p class="faint">The body is empty.</p>
      ) : view === "tree" && tree ? (
        <div class="tree mono">
          <Node value={tree} open depth={0} />
        </div>
      ) : view === "hex" ? (
        <Hex octets={octets} />
      ) : (
        <Long write={(most) => (tree ? pretty(tree, most) : plain(body))} />
      )}
    </div>
  );
}

function tryJson(text: string): Json | null {
  try {
    return readJson(text);
  } catch {
    return null;
  }
}

export function isText(octets: Uint8Array): boolean {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(octets);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    return !/[\u0000-\u0008\u000e-\u001f]/.test(text);
  } catch {
    return false;
  }
}

function plain(body: Body): string {
  return "json" in body ? body.json : new TextDecoder().decode(body.bytes);
}

/** Text, as far as it is asked for. */
function Long({ write }: { write: (most: number) => string }) {
  const [shown, setShown] = useState(TEXT_AT_ONCE);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the same body for as long as this is shown
  const text = useMemo(() => write(shown), [shown]);
  return (
    <>
      <Scroll class="text">{text.slice(0, shown)}</Scroll>
      {text.length > shown && (
        <button type="button" class="link" onClick={() => setShown(2 * shown)}>
          Show more
        </button>
      )}
    </>
  );
}

function Hex({ octets }: { octets: Uint8Array }) {
  const [shown, setShown] = useState(HEX_AT_ONCE);
  return (
    <>
      <Scroll class="hex">{hex(octets.subarray(0, shown))}</Scroll>
      {octets.length > shown && (
        <button type="button" class="link" onClick={() => setShown(shown + HEX_AT_ONCE)}>
          Show more: {bytes(octets.length - shown)} are left
        </button>
      )}
    </>
  );
}

/** Sixteen bytes a line: place, hexadecimal, what is printable. */
export function hex(octets: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < octets.length; at += 16) {
    const part = [...octets.subarray(at, at + 16)];
    const digits = part.map((octet) => octet.toString(16).padStart(2, "0")).join(" ");
    const signs = part
      .map((octet) => (octet >= 32 && octet < 127 ? String.fromCharCode(octet) : "·"))
      .join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${digits.padEnd(47)}  ${signs}`);
  }
  return lines.join("\n");
}

/** One value; the members of objects and arrays are drawn when they are opened, a hundred at a time. */
function Node({
  value,
  name,
  open = false,
  depth,
}: {
  value: Json;
  name?: string;
  open?: boolean;
  depth: number;
}) {
  const [opened, setOpened] = useState(open || depth < 2);
  const [shown, setShown] = useState(ITEMS_AT_ONCE);
  const label = name !== undefined && <span class="json-name">{name}: </span>;
  if (value.kind !== "object" && value.kind !== "array") {
    return (
      <div class="json-leaf">
        {label}
        <Leaf text={value.text} kind={value.kind} />
      </div>
    );
  }
  const members: [string, Json][] =
    value.kind === "object" ? value.members : value.items.map((item, index) => [String(index), item]);
  const brackets = value.kind === "object" ? "{}" : "[]";
  if (members.length === 0) {
    return (
      <div class="json-leaf">
        {label}
        {brackets}
      </div>
    );
  }
  return (
    <details open={opened} onToggle={(event) => setOpened(event.currentTarget.open)}>
      <summary>
        {label}
        <span class="faint">
          {brackets[0]} {count(members.length)} {brackets[1]}
        </span>
      </summary>
      {opened &&
        members
          .slice(0, shown)
          .map(([member, item], index) => (
            <Node
              key={`${index} ${member}`}
              name={member}
              value={item}
              depth={depth + 1}
              open={members.length === 1 && depth < 20}
            />
          ))}
      {opened && members.length > shown && (
        <button type="button" class="link" onClick={() => setShown(shown + ITEMS_AT_ONCE)}>
          Show more: {count(members.length - shown)} are left
        </button>
      )}
    </details>
  );
}

const STRING_AT_ONCE = 500;

function Leaf({ text, kind }: { text: string; kind: string }) {
  const [whole, setWhole] = useState(false);
  const long = text.length > STRING_AT_ONCE && !whole;
  return (
    <>
      <span class={`json-${kind}`}>{long ? `${text.slice(0, STRING_AT_ONCE)}…` : text}</span>
      {long && (
        <button type="button" class="link" onClick={() => setWhole(true)}>
          {count(text.length)} characters
        </button>
      )}
    </>
  );
}
