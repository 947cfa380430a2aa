import type { ComponentChildren } from "preact";
import { Button } from "../controls/button";
import { useKeptPlace } from "../page/place";
import { Loading } from "../states/loading";
import { ProblemNote } from "../states/problem";
import { moreOf, type usePages } from "./pages";
import { Table, type TableProps } from "./table";

interface Props<T> extends Omit<TableProps<T>, "items" | "more"> {
  list: ReturnType<typeof usePages<T>>;
  /** The list's items in another order. Default: the order of the API. */
  items?: readonly T[];
  /** Shown instead of an empty table. */
  empty: ComponentChildren;
  /** Shown above the rows, for what the user has to know before reading them. */
  note?: ComponentChildren;
}

/** A list of the API as a table, with its loading, error and empty states. */
export function Listing<T>({ list, items = list.items, empty, note, ...table }: Props<T>) {
  useKeptPlace(items.length > 0);
  if (list.error && !list.data) return <ProblemNote error={list.error} again={() => list.refetch()} />;
  if (list.isPending) return <Loading rows={6} />;
  if (items.length === 0 && !list.hasNextPage) return empty;
  return (
    <div>
      {(note || !list.renewed) && (
        <p class="list-note hint">
          {note}
          {!list.renewed && (
            <>
              <span>Long lists are not refreshed automatically.</span>
              <Button busy={list.isRefetching} onClick={() => list.refetch()}>
                Refresh
              </Button>
            </>
          )}
        </p>
      )}
      <Table {...table} items={items} more={moreOf(list)} />
    </div>
  );
}
