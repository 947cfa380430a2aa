/** Subscriptions, each with its filter as the service has it: read as an object, a large number in it would become another. */

import type { Subscription } from "../api/schema";
import type { Page } from "../components/pages";
import { itemTexts, memberText } from "../json";

export type WithText<T extends Subscription> = T & { text: string };

/** Read one subscription. Raises SyntaxError. */
export function subscribed<T extends Subscription>(text: string): WithText<T> {
  return { ...(JSON.parse(text) as T), text: memberText(text, "filter") ?? "{}" };
}

/** Read a page of them. Raises SyntaxError. */
export function subscriptionsFrom<T extends Subscription>(text: string): Page<WithText<T>> {
  const page = JSON.parse(text) as Page<T>;
  return { ...page, items: itemTexts(memberText(text, "items") ?? "[]").map((item) => subscribed<T>(item)) };
}
