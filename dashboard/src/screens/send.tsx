/** Composing a message: what is typed goes out as it is, byte for byte. */

import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answer, api, verbatim } from "../api/client";
import type { Message, Sent } from "../api/schema";
import { isText } from "../components/body";
import { CodeBox } from "../components/copy";
import { useDebounced } from "../components/debounced";
import { FormDialog } from "../components/dialog";
import { AreaField, SelectField, TextField } from "../components/field";
import { fieldProblem } from "../components/problem";
import { say } from "../components/toasts";
import { curl } from "../curl";
import { readJson } from "../json";

export interface MessageDraft {
  kind: "json" | "text" | "base64";
  body: string;
  contentType: string;
  headers: string;
  delay: string;
  ttl: string;
  priority: string;
  group: string;
  deduplicationId: string;
}

export const BLANK: MessageDraft = {
  kind: "json",
  body: '{"order": 17}',
  contentType: "",
  headers: "",
  delay: "",
  ttl: "",
  priority: "",
  group: "",
  deduplicationId: "",
};

/** Return the request's text. The body is put in as it was typed: no number and no blank of it is changed. */
export function requestText(draft: MessageDraft): string {
  const members: string[] = [];
  const add = (name: string, value: unknown) =>
    members.push(`${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  if (draft.kind === "json") members.push(`"body": ${draft.body.trim() || "null"}`);
  if (draft.kind === "text") add("body_base64", base64(new TextEncoder().encode(draft.body)));
  if (draft.kind === "base64") add("body_base64", draft.body.replaceAll(/\s/g, ""));
  const type = draft.contentType.trim() || (draft.kind === "text" ? "text/plain; charset=utf-8" : "");
  if (type) add("content_type", type);
  const headers = headersOf(draft.headers);
  if (Object.keys(headers).length > 0) add("headers", headers);
  for (const [name, value] of [
    ["delay", draft.delay],
    ["ttl", draft.ttl],
    ["priority", draft.priority],
  ] as const) {
    if (value.trim()) add(name, Number(value));
  }
  if (draft.group) add("group", draft.group);
  if (draft.deduplicationId) add("deduplication_id", draft.deduplicationId);
  return `{${members.join(", ")}}`;
}

export function base64(octets: Uint8Array): string {
  let binary = "";
  for (const octet of octets) binary += String.fromCharCode(octet);
  return btoa(binary);
}

/** Bytes as text that goes out as the same bytes, even from a field, which has no carriage returns; null: there is none. */
export function asText(octets: Uint8Array): string | null {
  if (!isText(octets) || octets.includes(13)) return null;
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(octets);
}

/** What stands in base64, as text; null: it is none. What is no base64 stands for itself. */
function textIn(body: string): string | null {
  let binary: string;
  try {
    binary = atob(body);
  } catch {
    return body;
  }
  return asText(Uint8Array.from(binary, (sign) => sign.charCodeAt(0)));
}

/** The same body as something else. */
export function converted(
  { kind, body }: MessageDraft,
  to: MessageDraft["kind"],
): Pick<MessageDraft, "kind" | "body"> {
  if (kind === "base64" && to !== "base64") return { kind: to, body: textIn(body) ?? body };
  if (kind !== "base64" && to === "base64") return { kind: to, body: base64(new TextEncoder().encode(body)) };
  return { kind: to, body };
}

/** One `name: value` a line. */
export function headersOf(lines: string): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (const line of lines.split("\n")) {
    const colon = line.indexOf(":");
    if (line.trim())
      headers[(colon < 0 ? line : line.slice(0, colon)).trim()] =
        colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  }
  return headers;
}

/** Why the body is no JSON, in words; null if it is. */
export function jsonFault(text: string): string | null {
  try {
    readJson(text.trim() || "null");
    return null;
  } catch (error) {
    return `This is no JSON: ${(error as Error).message}. Plain text goes as text.`;
  }
}

/** What is no JSON would be cut into a request that means something else. */
export function isReady(draft: MessageDraft): boolean {
  return draft.kind !== "json" || jsonFault(draft.body) === null;
}

/** Whether the queue is a fifo queue, as far as is known. */
export function useFifo(queue: string): boolean {
  const { data } = useQuery({
    queryKey: ["queues", "type", queue],
    queryFn: () => answer(api.GET("/v1/queues/{queue}", { params: { path: { queue } } })),
    enabled: queue !== "",
  });
  return data?.type === "fifo";
}

/** The message that a queue of this type takes. */
export function fitting(draft: MessageDraft, fifo: boolean): MessageDraft {
  return fifo ? { ...draft, priority: "" } : draft;
}

/** Send the request's own text, so that nothing of it is read and written anew. */
export function sendText(queue: string, text: string): Promise<Sent> {
  return answer(
    api.POST("/v1/queues/{queue}/messages", {
      params: { path: { queue } },
      ...verbatim<Message>(text),
    }),
  );
}

const BYTES = ["base64", "Bytes, as base64"] as const;

export function MessageFields({
  draft,
  change,
  error,
  fifo,
}: {
  draft: MessageDraft;
  change: (changes: Partial<MessageDraft>) => void;
  error: Error | null;
  fifo?: boolean;
}) {
  const fault = draft.kind === "json" ? jsonFault(draft.body) : null;
  const bytesAlone = draft.kind === "base64" && textIn(draft.body) === null;
  return (
    <div class="stack">
      <SelectField
        label="Body is"
        value={draft.kind}
        hint={bytesAlone && "They are no text."}
        onValue={(kind) => change(converted(draft, kind))}
        options={bytesAlone ? [BYTES] : [["json", "JSON"], ["text", "Text"], BYTES]}
      />
      <AreaField
        label="Body"
        rows={8}
        value={draft.body}
        error={fault ?? fieldProblem(error, "/body") ?? fieldProblem(error, "/body_base64")}
        onValue={(body) => change({ body })}
      />
      <AreaField
        label="Headers"
        rows={2}
        placeholder="source: shop"
        hint="One name: value a line"
        error={fieldProblem(error, "/headers")}
        value={draft.headers}
        onValue={(headers) => change({ headers })}
      />
      <details>
        <summary>Delay, group, priority …</summary>
        <div class="columns">
          <TextField
            label="Delay, s"
            type="number"
            value={draft.delay}
            error={fieldProblem(error, "/delay")}
            onValue={(delay) => change({ delay })}
          />
          <TextField
            label="Time to live, s"
            type="number"
            value={draft.ttl}
            error={fieldProblem(error, "/ttl")}
            onValue={(ttl) => change({ ttl })}
          />
          {!fifo && (
            <TextField
              label="Priority, 0 to 9"
              type="number"
              value={draft.priority}
              error={fieldProblem(error, "/priority")}
              onValue={(priority) => change({ priority })}
            />
          )}
          <TextField
            label="Group"
            mono
            value={draft.group}
            error={fieldProblem(error, "/group")}
            onValue={(group) => change({ group })}
          />
          <TextField
            label="Deduplication id"
            mono
            value={draft.deduplicationId}
            error={fieldProblem(error, "/deduplication_id")}
            onValue={(deduplicationId) => change({ deduplicationId })}
          />
          <TextField
            label="Content type"
            mono
            value={draft.contentType}
            error={fieldProblem(error, "/content_type")}
            onValue={(contentType) => change({ contentType })}
          />
        </div>
      </details>
    </div>
  );
}

export function SendDialog({
  queue: name,
  onClose,
  start = BLANK,
  elsewhere = false,
}: {
  queue: string;
  onClose: () => void;
  start?: MessageDraft;
  /** It may go to another queue. */
  elsewhere?: boolean;
}) {
  const [draft, setDraft] = useState(start);
  const [typed, setTyped] = useState(name);
  const queue = typed.trim();
  const queries = useQueryClient();
  const fifo = useFifo(useDebounced(queue));
  const request = requestText(fitting(draft, fifo));
  const send = async () => {
    const sent = await sendText(queue, request);
    say(sent.duplicate ? "It was sent before: nothing was stored." : "Sent.");
    await queries.invalidateQueries({ queryKey: ["queues"] });
  };
  return (
    <FormDialog
      title={`Send to ${queue}`}
      action="Send"
      icon="send"
      ready={isReady(draft) && queue !== ""}
      run={send}
      onClose={onClose}
      wide
    >
      {(error) => (
        <>
          {elsewhere && <TextField label="To the queue" mono required value={typed} onValue={setTyped} />}
          <MessageFields
            draft={draft}
            fifo={fifo}
            error={error}
            change={(changes) => setDraft((old) => ({ ...old, ...changes }))}
          />
          <details>
            <summary>As curl</summary>
            <CodeBox text={curl("POST", `/v1/queues/${queue}/messages`, request)} label="Copy the command" />
          </details>
        </>
      )}
    </FormDialog>
  );
}
