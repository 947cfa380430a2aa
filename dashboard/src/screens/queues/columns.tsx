import { useQuery } from "@tanstack/preact-query";
import { Link } from "wouter-preact";
import { answer, api } from "../../api/client";
import { every } from "../../api/polling";
import type { Queue } from "../../api/schema";
import { Sparkline } from "../../components/charts/sparkline";
import { Amount, Oldest } from "../../components/charts/stats";
import { Badge } from "../../components/states/badge";
import type { Selection } from "../../components/tables/selection";
import type { Column } from "../../components/tables/table";

export type Sort = "name" | "age" | "ready" | "leased" | "delayed";

/** Return the number of messages in each queue over the last hour, for the first hundred loaded queues. */
export function useSparks(names: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const asked = names.slice(0, 100).sort();
  const { data } = useQuery({
    queryKey: ["activity", asked],
    queryFn: () => answer(api.GET("/v1/activity", { params: { query: { queue: asked, resolution: 120 } } })),
    enabled: asked.length > 0,
    refetchInterval: every(30),
    placeholderData: (before) => before,
  });
  return new Map(data?.items.map((item) => [item.queue, item.total]));
}

export function makeColumns(
  sort: Sort,
  setSort: (sort: Sort) => void,
  sparks: ReadonlyMap<string, readonly number[]>,
): Column<Queue>[] {
  const by = (name: Sort): NonNullable<Column<Queue>["sort"]> => ({
    direction: sort === name ? (name === "name" ? "up" : "down") : null,
    toggle: () => setSort(name),
  });
  return [
    {
      name: "name",
      head: "Name",
      kind: "grow",
      sort: by("name"),
      cell: (queue) => <NameCell queue={queue} />,
    },
    {
      name: "age",
      head: "Oldest",
      kind: "number",
      sort: by("age"),
      cell: ({ stats }) => <Oldest stats={stats} />,
    },
    {
      name: "ready",
      head: "Ready",
      kind: "number",
      sort: by("ready"),
      cell: ({ stats }) => <Amount stats={stats} of="ready" />,
    },
    {
      name: "leased",
      head: "Leased",
      kind: "number extra",
      sort: by("leased"),
      cell: ({ stats }) => <Amount stats={stats} of="leased" />,
    },
    {
      name: "delayed",
      head: "Delayed",
      kind: "number extra",
      sort: by("delayed"),
      cell: ({ stats }) => <Amount stats={stats} of="delayed" />,
    },
    {
      name: "depth",
      head: "Last hour",
      kind: "extra",
      cell: ({ name }) => <Sparkline values={sparks.get(name) ?? []} label="Messages over the last hour" />,
    },
  ];
}

function NameCell({ queue }: { queue: Queue }) {
  const labels = Object.entries(queue.labels);
  return (
    <span class="name-cell">
      <Link class="mono clip" href={`/queues/${queue.name}`} title={queue.name}>
        {queue.name}
      </Link>
      {queue.type === "fifo" && <span class="badge grey">fifo</span>}
      {queue.paused && <Badge state="paused" />}
      {labels.slice(0, 3).map(([name, value]) => (
        <Link
          key={name}
          class="chip extra clip"
          href={`/queues?label=${encodeURIComponent(`${name}:${value}`)}`}
        >
          {name}:{value}
        </Link>
      ))}
      {labels.length > 3 && <span class="faint extra">+{labels.length - 3}</span>}
    </span>
  );
}

export function checks(selection: Selection, shown: readonly string[]): Column<Queue> {
  const all = shown.length > 0 && selection.names.length === shown.length;
  return {
    name: "check",
    kind: "check",
    head: (
      <input
        type="checkbox"
        aria-label="Select all loaded queues"
        checked={all}
        onChange={() => selection.set(all ? [] : shown)}
      />
    ),
    cell: ({ name }) => (
      <input
        type="checkbox"
        aria-label={`Select ${name}`}
        checked={selection.has(name)}
        disabled={shown.length === 0}
        onChange={() => selection.toggle(name)}
      />
    ),
  };
}
