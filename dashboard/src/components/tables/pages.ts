/** Lists of the API, loaded page by page. */

import { keepPreviousData, type QueryKey, useInfiniteQuery } from "@tanstack/preact-query";
import { every } from "../../api/polling";
import type { MoreProps } from "./more";

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/** Longer lists are not refreshed automatically, because a refresh fetches every loaded page again. */
const RENEWED_PAGES = 3;

export function usePages<T>(
  key: QueryKey,
  fetchPage: (cursor: string | undefined) => Promise<Page<T>>,
  { seconds = null, enabled = true }: { seconds?: number | null; enabled?: boolean } = {},
) {
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) => fetchPage(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
    enabled,
    refetchInterval: (query) =>
      (query.state.data?.pages.length ?? 0) > RENEWED_PAGES ? false : every(seconds)(query),
    refetchOnWindowFocus: (query) => (query.state.data?.pages.length ?? 0) <= RENEWED_PAGES,
  });
  const pages = query.data?.pages ?? [];
  // Lists without automatic refresh have their own button for it.
  const renewed = seconds === null || pages.length <= RENEWED_PAGES;
  return { ...query, items: pages.flatMap((page) => page.items), renewed };
}

/** Return what the end of a list needs: whether there is another page, and how to load it. */
export function moreOf<T>(list: ReturnType<typeof usePages<T>>): MoreProps {
  return {
    has: list.hasNextPage,
    loading: list.isFetchingNextPage,
    load: list.fetchNextPage,
    error: list.isFetchNextPageError ? list.error : null,
  };
}
