import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAccess } from "../access";
import { answer, api } from "../api/client";
import { every } from "../api/polling";
import type { Queue } from "../api/schema";
import { BulkBar, eachWhileHere, throwFirst } from "../components/bulk";
import { Button } from "../components/button";
import { FilterInput } from "../components/filter-input";
import { Icon } from "../components/icon";
import { Listing } from "../components/listing";
import { PageHead } from "../components/page";
import { usePages } from "../components/pages";
import { type Selection, useSelection } from "../components/selection";
import { Sparkline } from "../components/sparkline";
import { Badge, Empty } from "../components/states";
import { Amount, messagesIn, Oldest } from "../components/stats";
import type { Column } from "../components/table";
import { say } from "../components/toasts";
import { curl } from "../curl";
import { plural } from "../format";
import { useParams } from "../params";
import { CreateQueue } from "./queue-form";

type Sort = "name" | "age" | "ready" | "leased" | "delayed";

export function Queues() {
  const [param, setParam] = useParams<"search" | "label" | "dead_letters" | "sort">();
  const { may } = useAccess();
  const [creating, setCreating] = useState(false);
  const search = param("search");
  const label = param("label");
  const dead = param("dead_letters") === "true";
  const sort = (param("sort") || "name") as Sort;
  const list = usePages(
    ["queues", "list", search, label, dead, sort === "age"],
    (cursor) =>
      answer(api.GET("/v1/queues", { params: { query: query({ search, label, dead, sort }, cursor) } })),
    { seconds: 5 },
  );
  const queues = sorted(list.items, sort);
  const shown = list.isPlaceholderData ? [] : queues.map(({ name }) => name);
  const selection = useSelection(shown, JSON.stringify([search, label, dead]));
  const sparks = useSparks(list.items.map(({ name }) => name));
  const columns = [
    ...(may("manage") ? [checks(selection, shown)] : []),
    ...makeColumns(sort, (next) => setParam({ sort: next === "name" ? "" : next }), sparks),
  ];
  return (
    <>
      <PageHead title="Queues">
        {may("manage") && (
          <Button kind="primary" icon="plus" onClick={() => setCreating(true)}>
            Create queue
          </Button>
        )}
      </PageHead>
      <Filters search={search} label={label} dead={dead} set={setParam} />
      <Listing
        list={list}
        label="Queues"
        columns={columns}
        items={queues}
        keyOf={({ name }) => name}
        selected={({ name }) => selection.has(name)}
        note={
          sort !== "name" &&
          sort !== "age" &&
          list.hasNextPage && <span>Sorted within the {list.items.length} queues that are loaded.</span>
        }
        empty={<NoQueues filtered={search !== "" || label !== "" || dead} may={may("manage")} />}
      />
      {selection.names.length > 0 && <QueuesBar queues={queues} selection={selection} />}
      {creating && <CreateQueue onClose={() => setCreating(false)} />}
    </>
  );
}

interface Wanted {
  search: string;
  label: string;
  dead: boolean;
}

function query({ search, label, dead, sort }: Wanted & { sort: Sort }, cursor: string | undefined) {
  return {
    limit: 200,
    ...(search && { search }),
    ...(label && { label: [label] }),
    ...(dead && { dead_letters: true }),
    ...(sort === "age" && { order: "age" as const }),
    ...(cursor && { cursor }),
  };
}

/** By name and age the service sorts; by the rest this page does, what it has loaded. */
function sorted(queues: readonly Queue[], sort: Sort): readonly Queue[] {
  if (sort === "name" || sort === "age") return queues;
  return [...queues].sort((one, other) => other.stats[sort] - one.stats[sort]);
}

function Filters({
  search,
  label,
  dead,
  set,
}: Wanted & { set: (changes: { search?: string; label?: string; dead_letters?: string }) => void }) {
  return (
    <div class="toolbar">
      <div class="filter">
        <Icon name="search" />
        <FilterInput
          type="search"
          data-filter
          aria-label="Filter by name"
          placeholder="Filter by name"
          value={search}
          commit={(wanted) => set({ search: wanted })}
        />
        <kbd>/</kbd>
      </div>
      {label && <Chip text={label} hint={`Remove the label ${label}`} remove={() => set({ label: "" })} />}
      {dead && (
        <Chip text="dead-letter queues" hint="Show all queues" remove={() => set({ dead_letters: "" })} />
      )}
    </div>
  );
}

/** A filter that holds, until it is pressed. */
function Chip({ text, hint, remove }: { text: string; hint: string; remove: () => void }) {
  return (
    <button type="button" class="chip" aria-label={hint} onClick={remove}>
      <span class="clip">{text}</span> <Icon name="close" />
    </button>
  );
}

function NoQueues({ filtered, may }: { filtered: boolean; may: boolean }) {
  if (filtered) return <Empty title="No queue matches">Remove a letter or a label.</Empty>;
  return (
    <Empty title="No queues yet" curl={curl("PUT", "/v1/queues/orders")}>
      {may ? "Create one here, or from a shell:" : "Whoever has a key with the scope manage creates one:"}
    </Empty>
  );
}

/** How many messages each queue held over the last hour, for the first hundred that are loaded. */
function useSparks(names: readonly string[]): ReadonlyMap<string, readonly number[]> {
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

function makeColumns(
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

function checks(selection: Selection, shown: readonly string[]): Column<Queue> {
  const all = shown.length > 0 && selection.names.length === shown.length;
  return {
    name: "check",
    kind: "check",
    head: (
      <input
        type="checkbox"
        aria-label="Select all that are loaded"
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

function QueuesBar({ queues, selection }: { queues: readonly Queue[]; selection: Selection }) {
  const { names } = selection;
  const chosen = queues.filter(({ name }) => selection.has(name));
  const typed = plural(names.length, "queue");
  const queries = useQueryClient();
  const each = async (verb: string, one: (queue: string) => Promise<unknown>) => {
    const { done, refused } = await eachWhileHere(names, one);
    selection.settle(names, refused);
    say(`${verb} ${plural(done, "queue")}.`);
    await queries.invalidateQueries({ queryKey: ["queues"] });
    throwFirst(refused);
  };
  const pause = (paused: boolean) => (queue: string) =>
    answer(api.PATCH("/v1/queues/{queue}", { params: { path: { queue } }, body: { paused } }));
  return (
    <BulkBar
      count={names.length}
      noun="queue"
      clear={() => selection.set([])}
      actions={[
        { name: "Pause", icon: "pause", run: () => each("Paused", pause(true)) },
        { name: "Resume", icon: "play", run: () => each("Resumed", pause(false)) },
        {
          name: "Purge",
          danger: true,
          typed,
          about: (
            <QueueList queues={chosen} lead="All messages of these queues are removed, leased ones too:" />
          ),
          run: () =>
            each("Purged", (queue) =>
              answer(api.POST("/v1/queues/{queue}/purge", { params: { path: { queue } } })),
            ),
        },
        {
          name: "Delete",
          danger: true,
          typed,
          about: <QueueList queues={chosen} lead="These queues are deleted with all their messages:" />,
          run: () =>
            each("Deleted", (queue) =>
              answer(api.DELETE("/v1/queues/{queue}", { params: { path: { queue } } })),
            ),
        },
      ]}
    />
  );
}

function QueueList({ queues, lead }: { queues: readonly Queue[]; lead: string }) {
  return (
    <>
      <p>{lead}</p>
      <ul class="names">
        {queues.slice(0, 10).map(({ name, stats }) => (
          <li key={name}>
            <span class="mono">{name}</span> <span class="faint">{messagesIn(stats)}</span>
          </li>
        ))}
      </ul>
      {queues.length > 10 && <p>and {queues.length - 10} more.</p>}
    </>
  );
}
