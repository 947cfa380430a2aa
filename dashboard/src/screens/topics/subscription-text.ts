/** Subscriptions with the source text of their filters, because JSON.parse would change large numbers in them. */

import type { Subscription } from "../../api/schema";
import type { Page } from "../../components/tables/pages";
import { itemTexts, memberText } from "../../json";

export type WithText<T extends Subscription> = T & { text: string };

/** Read one subscription. Throws SyntaxError. */
export function subscribed<T extends Subscription>(text: string): WithText<T> {
  return { ...(JSON.parse(text) as T), text: memberText(text, "filter") ?? "{}" };
}

/** Read a page of subscriptions. Throws SyntaxError. */
export function subscriptionsFrom<T extends Subscription>(text: string): Page<WithText<T>> {
  const page = JSON.parse(text) as Page<T>;
  return { ...page, items: itemTexts(memberText(text, "items") ?? "[]").map((item) => subscribed<T>(item)) };
}

export type Subscribed = WithText<Subscription>;
