import { type Query, useQueryClient } from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";

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
  const { status, data, fetchMeta } = query.state;
  // A further page that does not come is told at the list's end.
  return query.isActive() && status === "error" && data !== undefined && !fetchMeta?.fetchMore;
}
