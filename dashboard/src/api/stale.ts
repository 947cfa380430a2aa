import { type Query, useQueryClient } from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";
import { ProblemError } from "./client";

/** For the `meta` of a query whose screen says itself that what it shows has gone. */
export const TELLS_GONE = { tellsGone: true };

/** What keeps something that is shown from being renewed: it stands there as it was. */
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
  if (query.meta?.tellsGone && error instanceof ProblemError && error.gone) return false;
  // A further page that does not come is told at the list's end.
  return query.isActive() && status === "error" && data !== undefined && !fetchMeta?.fetchMore;
}
