/** Messages that this page was given, each with its body as it was sent. */

import type { Received } from "./api/schema";
import { itemTexts, memberText } from "./json";

export interface Held {
  message: Received;
  /** The body's JSON as it stands in the answer; octets as base64. */
  text: string;
}

/** Read one message. Raises SyntaxError. */
export function heldFrom(text: string): Held {
  const message = JSON.parse(text) as Received;
  return { message, text: memberText(text, "body") ?? message.body_base64 ?? "" };
}

/** Read the answer to a receive. Raises SyntaxError. */
export function allHeldFrom(answer: string): Held[] {
  return itemTexts(memberText(answer, "messages") ?? "[]").map(heldFrom);
}
