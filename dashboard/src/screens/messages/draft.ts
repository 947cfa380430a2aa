/** Drafts of messages. The typed body is sent unchanged, byte for byte. */

import { headersOf } from "../../components/forms/headers";
import { isText } from "../../components/text/body";
import { readJson } from "../../json";

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

/** Return the text of the request. The body is inserted as it was typed, with its numbers and whitespace unchanged. */
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

export function base64(data: Uint8Array): string {
  let binary = "";
  for (const byte of data) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Return the bytes as text, or null if editing the text would change them. Text fields drop carriage returns. */
export function asText(data: Uint8Array): string | null {
  if (!isText(data) || data.includes(13)) return null;
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(data);
}

/** Decode base64 as text, or return null if the bytes are not text. Invalid base64 is returned as it is. */
export function textIn(body: string): string | null {
  let binary: string;
  try {
    binary = atob(body);
  } catch {
    return body;
  }
  return asText(Uint8Array.from(binary, (sign) => sign.charCodeAt(0)));
}

/** Convert the body to another format. */
export function converted(
  { kind, body }: MessageDraft,
  to: MessageDraft["kind"],
): Pick<MessageDraft, "kind" | "body"> {
  if (kind === "base64" && to !== "base64") return { kind: to, body: textIn(body) ?? body };
  if (kind !== "base64" && to === "base64") return { kind: to, body: base64(new TextEncoder().encode(body)) };
  return { kind: to, body };
}

/** Return why the text is not valid JSON, or null if it is. */
export function jsonFault(text: string): string | null {
  try {
    readJson(text.trim() || "null");
    return null;
  } catch (error) {
    return `This is not valid JSON: ${(error as Error).message}.`;
  }
}

/** Return whether the draft can be sent. Invalid JSON could change the meaning of the request around it. */
export function isReady(draft: MessageDraft): boolean {
  return draft.kind !== "json" || jsonFault(draft.body) === null;
}

/** Return the draft without the fields that this type of queue refuses. */
export function fitting(draft: MessageDraft, fifo: boolean): MessageDraft {
  return fifo ? { ...draft, priority: "" } : draft;
}
