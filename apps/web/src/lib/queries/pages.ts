/** Long lists by cursor: older pages are asked for when wanted and then stay. */
import { useInfiniteQuery, type UseQueryResult } from "@tanstack/react-query";
import { useMemo } from "react";

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/** What a table needs to offer older rows. */
export interface More {
  load: () => void;
  loading: boolean;
}

interface Options {
  refetchInterval?: number | false | (() => number | false);
}

/** All rows read so far, the newest page with what else it says, and how to get more (null when everything is there). */
export function usePages<T, P extends Page<T>>(queryKey: readonly unknown[], read: (cursor: string | null, signal: AbortSignal) => Promise<P & Page<T>>, options: Options = {}) {
  const query = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam, signal }) => read(pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last: P) => last.next_cursor,
    ...options,
  });
  const pages = query.data?.pages;
  const rows = useMemo(() => pages?.flatMap(({ items }) => items), [pages]);
  const more: More | null = query.hasNextPage ? { load: () => void query.fetchNextPage(), loading: query.isFetchingNextPage } : null;
  return { query: { ...query, data: rows } as unknown as UseQueryResult<T[]>, newest: pages?.[0], more };
}
