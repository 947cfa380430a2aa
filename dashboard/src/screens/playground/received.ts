/** Messages that this page has received, each with the source text of its body. */

import type { Received } from "../../api/schema";
import { itemTexts, memberText } from "../../json";

export interface Held {
  message: Received;
  /** The source text of the body's JSON; bytes as base64. */
  text: string;
}

/** Read one message. Throws SyntaxError. */
export function heldFrom(text: string): Held {
  const message = JSON.parse(text) as Received;
  return { message, text: memberText(text, "body") ?? message.body_base64 ?? "" };
}

/** Read the response to a receive. Throws SyntaxError. */
export function allHeldFrom(answer: string): Held[] {
  return itemTexts(memberText(answer, "messages") ?? "[]").map(heldFrom);
}
