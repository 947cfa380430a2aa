import type { OnExhausted, Webhook, WebhookDefaults, WebhookMode } from "../../api/schema";
import { headersOf } from "../../components/forms/headers";

const numbers = (list: string): number[] =>
  list
    .split(",")
    .filter((part) => part.trim())
    .map(Number);

/** A configuration in a form. Header values are never shown; an empty field keeps them. */
export interface Draft {
  url: string;
  mode: WebhookMode;
  timeout: string;
  concurrency: string;
  rateLimit: string;
  delays: string;
  exhausted: OnExhausted;
  enabled: boolean;
  headers: string;
  /** Whether to remove the current headers. */
  removeHeaders: boolean;
}

export function draftOf(webhook: WebhookDefaults & { url?: string }): Draft {
  return {
    url: webhook.url ?? "",
    mode: webhook.mode,
    timeout: String(webhook.timeout),
    concurrency: String(webhook.max_concurrency),
    rateLimit: webhook.rate_limit === null ? "" : String(webhook.rate_limit),
    delays: webhook.retry.delays.join(", "),
    exhausted: webhook.on_exhausted,
    enabled: webhook.enabled,
    headers: "",
    removeHeaders: false,
  };
}

/** Return the configuration in a draft. */
export function fieldsOf(draft: Draft, jitter: number) {
  return {
    url: draft.url.trim(),
    mode: draft.mode,
    timeout: Number(draft.timeout),
    max_concurrency: Number(draft.concurrency),
    rate_limit: draft.rateLimit.trim() ? Number(draft.rateLimit) : null,
    retry: { delays: numbers(draft.delays), jitter },
    on_exhausted: draft.exhausted,
    enabled: draft.enabled,
    ...((draft.removeHeaders || draft.headers.trim()) && { headers: headersOf(draft.headers) }),
  };
}

/** Return the visible configuration of a webhook. */
export function configured(webhook: Webhook) {
  const { url, mode, timeout, max_concurrency, rate_limit, retry, on_exhausted, enabled } = webhook;
  const headers = Object.keys(webhook.headers);
  return { url, mode, timeout, max_concurrency, rate_limit, retry, on_exhausted, enabled, headers };
}

export function differs(known: WebhookDefaults, field: string, value: unknown): boolean {
  const before = known[field as keyof WebhookDefaults];
  return field === "headers" || JSON.stringify(before) !== JSON.stringify(value);
}
