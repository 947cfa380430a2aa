import { useState } from "preact/hooks";
import { useAccess } from "../../access";
import { answer, api } from "../../api/client";
import type { Queue } from "../../api/schema";
import { Button } from "../../components/controls/button";
import { PageHead } from "../../components/page/head";
import { Empty } from "../../components/states/empty";
import { Listing } from "../../components/tables/listing";
import { usePages } from "../../components/tables/pages";
import { useSelection } from "../../components/tables/selection";
import { curl } from "../../curl";
import { useParams } from "../../params";
import { QueuesBar } from "./bulk";
import { checks, makeColumns, type Sort, useSparks } from "./columns";
import { CreateQueue } from "./create";
import { Filters, type Wanted } from "./filters";

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
          list.hasNextPage && <span>Sorted among the {list.items.length} queues loaded so far.</span>
        }
        empty={<NoQueues filtered={search !== "" || label !== "" || dead} may={may("manage")} />}
      />
      {selection.names.length > 0 && <QueuesBar queues={queues} selection={selection} />}
      {creating && <CreateQueue onClose={() => setCreating(false)} />}
    </>
  );
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

/** Sort the queues. The service sorts by name and age; this page sorts its loaded queues by the other columns. */
function sorted(queues: readonly Queue[], sort: Sort): readonly Queue[] {
  if (sort === "name" || sort === "age") return queues;
  return [...queues].sort((one, other) => other.stats[sort] - one.stats[sort]);
}

function NoQueues({ filtered, may }: { filtered: boolean; may: boolean }) {
  if (filtered) return <Empty title="No queues match">Shorten the name or remove a filter.</Empty>;
  return (
    <Empty title="No queues yet" curl={curl("PUT", "/v1/queues/orders")}>
      {may
        ? "Create one here or from the command line:"
        : "Creating a queue requires a key with the scope manage:"}
    </Empty>
  );
}
