import type { ComponentChildren } from "preact";
import { Button } from "./button";
import { moreOf, type usePages } from "./pages";
import { ProblemNote } from "./problem";
import { Loading } from "./states";
import { Table, type TableProps } from "./table";

interface Props<T> extends Omit<TableProps<T>, "items" | "more"> {
  list: ReturnType<typeof usePages<T>>;
  /** The list's items in another order; left out: as they came. */
  items?: readonly T[];
  /** Shown instead of a table without rows. */
  empty: ComponentChildren;
  /** What has to be known of the rows before they are read. */
  note?: ComponentChildren;
}

/** A list of the API as a table: while it is asked for, if that fails, if it is empty, and page after page. */
export function Listing<T>({ list, items = list.items, empty, note, ...table }: Props<T>) {
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
              <span>A list this long is not renewed by itself.</span>
              <Button busy={list.isRefetching} onClick={() => list.refetch()}>
                Renew
              </Button>
            </>
          )}
        </p>
      )}
      <Table {...table} items={items} more={moreOf(list)} />
    </div>
  );
}
