import type { ComponentChildren, JSX } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../controls/icon";
import { More, type MoreProps } from "./more";

export interface Column<T> {
  name: string;
  head: ComponentChildren;
  cell: (item: T) => ComponentChildren;
  /** `number`: right-aligned. `extra`: hidden on small screens. */
  kind?: "number" | "extra" | "number extra" | "grow" | "check";
  sort?: { direction: "up" | "down" | null; toggle: () => void };
}

export interface TableProps<T> {
  label: string;
  columns: readonly Column<T>[];
  items: readonly T[];
  keyOf: (item: T) => string;
  /** In pixels, the same for every row. */
  rowHeight?: number;
  /** Loads the next page when the end of the list comes into view. */
  more?: MoreProps | undefined;
  selected?: (item: T) => boolean;
  /** Show all columns on narrow screens, and scroll sideways if they do not fit. */
  whole?: boolean;
}

const MARGIN = 10;

/** A table that renders only the visible rows. It scrolls with the page. */
export function Table<T>({
  label,
  columns,
  items,
  keyOf,
  rowHeight = 46,
  more,
  selected,
  whole = false,
}: TableProps<T>) {
  const body = useRef<HTMLTableSectionElement>(null);
  const [first, last] = useRowsInSight(body, items.length, rowHeight);
  // After a failure the user has to retry. An automatic retry would fail again at once, forever.
  const near = more?.has && !more.error && last >= items.length - MARGIN;
  const load = more?.load;
  useEffect(() => {
    if (near && !more?.loading) load?.();
  }, [near, more?.loading, load]);
  return (
    <div class={whole ? "table-box whole" : "table-box"}>
      <table class="table" aria-label={label} aria-rowcount={items.length + 1}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.name} scope="col" class={column.kind ?? ""} aria-sort={sorted(column)}>
                {column.sort ? <SortButton column={column} /> : column.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody ref={body}>
          <Spacer rows={first} height={rowHeight} columns={columns.length} />
          {items.slice(first, last).map((item, index) => (
            <tr
              key={keyOf(item)}
              class={selected?.(item) ? "selected" : ""}
              aria-rowindex={first + index + 2}
              style={{ height: `${rowHeight}px` }}
            >
              {columns.map((column) => (
                <td key={column.name} class={column.kind ?? ""}>
                  {column.cell(item)}
                </td>
              ))}
            </tr>
          ))}
          <Spacer rows={items.length - last} height={rowHeight} columns={columns.length} />
        </tbody>
      </table>
      {more && <More {...more} />}
    </div>
  );
}

function sorted<T>(column: Column<T>): JSX.AriaAttributes["aria-sort"] {
  if (!column.sort) return undefined;
  if (column.sort.direction === null) return "none";
  return column.sort.direction === "up" ? "ascending" : "descending";
}

function SortButton<T>({ column }: { column: Column<T> }) {
  const direction = column.sort?.direction;
  return (
    <button type="button" class="sort" onClick={column.sort?.toggle}>
      {column.head}
      {direction && <Icon name={direction} />}
    </button>
  );
}

function Spacer({ rows, height, columns }: { rows: number; height: number; columns: number }) {
  if (rows <= 0) return null;
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: the row is empty, so nothing in it can take the focus
    <tr class="spacer" aria-hidden="true">
      <td colSpan={columns} style={{ height: `${rows * height}px` }} />
    </tr>
  );
}

/** Return the range of rows that are visible in the window: [first, last). */
function useRowsInSight(
  body: { current: HTMLElement | null },
  count: number,
  height: number,
): [number, number] {
  const [range, setRange] = useState<[number, number]>([0, Math.min(count, 40)]);
  const look = useCallback(() => {
    if (!body.current) return;
    const next = rowsInSight(body.current.getBoundingClientRect().top, window.innerHeight, count, height);
    setRange((old) => (old[0] === next[0] && old[1] === next[1] ? old : next));
  }, [body, count, height]);
  useEffect(() => {
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [look]);
  return [Math.min(range[0], count), Math.min(range[1], count)];
}

/** Return the range of visible rows. `top` is the distance of the first row from the window's upper edge, in pixels. */
export function rowsInSight(top: number, sight: number, count: number, height: number): [number, number] {
  const within = (row: number) => Math.max(0, Math.min(count, row));
  return [
    within(Math.floor(-top / height) - MARGIN),
    within(top > sight ? 0 : Math.ceil((sight - top) / height) + MARGIN),
  ];
}
