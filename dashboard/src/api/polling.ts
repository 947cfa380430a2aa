/** How often panels refresh: less often while responses are slow or fail, and never in a hidden tab. */

import { type Query, QueryClient } from "@tanstack/preact-query";
import { ProblemError } from "./client";

const MAX_PAUSE = 60_000;

const took = new Map<string, number>();
/** The number of consecutive failures, by query. */
const failures = new Map<string, number>();

/** How long to wait before a failed request of a panel without automatic refresh is repeated, in seconds. */
const RETRY_AFTER = 3;

/**
 * Return a `refetchInterval` for a panel that refreshes this often, in seconds; null for one that only repeats failed
 * requests.
 */
export function every(wanted: number | null) {
  // biome-ignore lint/suspicious/noExplicitAny: queries of any type
  return (query: Query<any, any, any, any>): number | false => {
    const problem = query.state.error instanceof ProblemError ? query.state.error : null;
    if (wanted === null && !problem?.passing) return false;
    const seconds = wanted ?? RETRY_AFTER;
    const failed = Math.min(failures.get(query.queryHash) ?? 0, 5);
    const rest = interval(seconds * 1000, took.get(query.queryHash) ?? 0, failed);
    return Math.max(rest, 1000 * (problem?.retryAfter ?? 0));
  };
}

/** Return the pause before the next refresh, in milliseconds: at least ten times as long as the last response took. */
export function interval(wish: number, took: number, failures: number): number {
  return Math.min(MAX_PAUSE, Math.max(wish, 10 * took) * 2 ** failures);
}

export function makeQueryClient(): QueryClient {
  const client = new QueryClient({
    defaultOptions: {
      queries: {
        networkMode: "always",
        staleTime: 1_000,
        refetchOnWindowFocus: true,
        retry: (failures, error) =>
          failures < 1 && error instanceof ProblemError && error.problem.status === 0,
        retryDelay: 1_000,
        throwOnError: false,
        refetchInterval: every(null),
      },
      mutations: { networkMode: "always", retry: false },
    },
  });
  const begun = new Map<string, number>();
  client.getQueryCache().subscribe((event) => {
    if (event.type !== "updated") return;
    const { queryHash } = event.query;
    if (event.action.type === "fetch") begun.set(queryHash, performance.now());
    if (event.action.type === "error") failures.set(queryHash, (failures.get(queryHash) ?? 0) + 1);
    if (event.action.type !== "success") return;
    failures.delete(queryHash);
    took.set(queryHash, performance.now() - (begun.get(queryHash) ?? 0));
  });
  return client;
}
