/** A message's body as a tree, as text or as bytes, but never as markup. */

import { useMemo, useState } from "preact/hooks";
import { bytes, count } from "../../format";
import { type Json, pretty, readJson } from "../../json";
import { Choice } from "../controls/choice";
import { CopyTextButton } from "./copy";
import { Scroll } from "./scroll";

type View = "tree" | "text" | "hex";

/** A body as it was received: the text of a JSON value, or bytes. */
export type Body = { json: string } | { bytes: Uint8Array };

// Larger bodies are shown in parts, so that a body of a megabyte does not freeze the tab.
const TEXT_AT_ONCE = 50_000;
const HEX_AT_ONCE = 4096;
const ITEMS_AT_ONCE = 100;

export function BodyView({ body }: { body: Body }) {
  const tree = useMemo(() => ("json" in body ? tryJson(body.json) : null), [body]);
  const [view, setView] = useState<View>(
    tree ? "tree" : "bytes" in body && !isText(body.bytes) ? "hex" : "text",
  );
  const data = useMemo(() => ("json" in body ? new TextEncoder().encode(body.json) : body.bytes), [body]);
  const views: [View, string][] = [
    ...(tree ? ([["tree", "Tree"]] as [View, string][]) : []),
    ["text", "Text"],
    ["hex", "Hex"],
  ];
  return (
    <div class="body">
      <div class="toolbar">
        <Choice label="Show the body as" value={view} onValue={setView} options={views} />
        <span class="faint">{bytes(data.length)}</span>
        <CopyTextButton text={() => plain(body)}>Copy the body</CopyTextButton>
      </div>
      {data.length === 0 ? (
        <p class="faint">The body is empty.</p>
      ) : view === "tree" && tree ? (
        <div class="tree mono">
          <Node value={tree} open depth={0} />
        </div>
      ) : view === "hex" ? (
        <Hex data={data} />
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

export function isText(data: Uint8Array): boolean {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(data);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern looks for control characters
    return !/[\u0000-\u0008\u000e-\u001f]/.test(text);
  } catch {
    return false;
  }
}

function plain(body: Body): string {
  return "json" in body ? body.json : new TextDecoder().decode(body.bytes);
}

/** Long text, shown in parts. */
function Long({ write }: { write: (most: number) => string }) {
  const [shown, setShown] = useState(TEXT_AT_ONCE);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the body does not change while it is shown
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

function Hex({ data }: { data: Uint8Array }) {
  const [shown, setShown] = useState(HEX_AT_ONCE);
  return (
    <>
      <Scroll class="hex">{hex(data.subarray(0, shown))}</Scroll>
      {data.length > shown && (
        <button type="button" class="link" onClick={() => setShown(shown + HEX_AT_ONCE)}>
          Show more ({bytes(data.length - shown)} left)
        </button>
      )}
    </>
  );
}

/** Return a hex dump, sixteen bytes per line: offset, hexadecimal, printable characters. */
export function hex(data: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < data.length; at += 16) {
    const part = [...data.subarray(at, at + 16)];
    const digits = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const signs = part.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${digits.padEnd(47)}  ${signs}`);
  }
  return lines.join("\n");
}

/** One JSON value. The members of objects and arrays are rendered when the user opens them, a hundred at a time. */
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
          Show more ({count(members.length - shown)} left)
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
