import { type Query, useQueryClient } from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";
import { ProblemError } from "./client";

/** The `meta` of a query whose screen itself reports that its subject is gone. */
export const REPORTS_GONE = { reportsGone: true };

/** Return the error that keeps data on the screen from being refreshed, so that it is out of date. */
export function useStale(): Error | null {
  const cache = useQueryClient().getQueryCache();
  const [error, setError] = useState<Error | null>(null);
  useEffect(
    () => cache.subscribe(() => setError(cache.getAll().find(isStale)?.state.error ?? null)),
    [cache],
  );
  return error;
}

function isStale(query: Query): boolean {
  const { status, data, error, fetchMeta } = query.state;
  if (query.meta?.reportsGone && error instanceof ProblemError && error.gone) return false;
  // A list shows the error of loading its next page at its end.
  return query.isActive() && status === "error" && data !== undefined && !fetchMeta?.fetchMore;
}
