/** How often a panel asks: seldom when answers take long or fail, and never in a hidden tab. */

import { type Query, QueryClient } from "@tanstack/preact-query";
import { ProblemError } from "./client";

const LONGEST = 60_000;

const took = new Map<string, number>();
/** In a row, up to now. */
const failures = new Map<string, number>();

/** Seconds after which what is not renewed by itself is asked for again, if it was not answered. */
const AGAIN = 3;

/**
 * Return what to give to `refetchInterval`, for a panel that wants to be renewed so often (seconds); null: only until it is
 * answered.
 */
export function every(wanted: number | null) {
  // biome-ignore lint/suspicious/noExplicitAny: whatever the query holds
  return (query: Query<any, any, any, any>): number | false => {
    const problem = query.state.error instanceof ProblemError ? query.state.error : null;
    if (wanted === null && !problem?.passing) return false;
    const seconds = wanted ?? AGAIN;
    const failed = Math.min(failures.get(query.queryHash) ?? 0, 5);
    const rest = interval(seconds * 1000, took.get(query.queryHash) ?? 0, failed);
    return Math.max(rest, 1000 * (problem?.retryAfter ?? 0));
  };
}

/** Return how long to rest (milliseconds): at least ten times as long as the last answer took. */
export function interval(wish: number, took: number, failures: number): number {
  return Math.min(LONGEST, Math.max(wish, 10 * took) * 2 ** failures);
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
