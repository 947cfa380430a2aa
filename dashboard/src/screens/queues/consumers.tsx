import { useQuery } from "@tanstack/preact-query";
import { answer, api } from "../../api/client";
import { every } from "../../api/polling";
import type { Consumer } from "../../api/schema";
import { Card } from "../../components/page/card";
import { Loading } from "../../components/states/loading";
import { ProblemNote } from "../../components/states/problem";
import { type Column, Table } from "../../components/tables/table";
import { Ago } from "../../components/text/time";
import { count } from "../../format";
import { KeyName, PROTOCOLS } from "../messages";

export function useConsumers(queue: string) {
  return useQuery({
    queryKey: ["queues", "consumers", queue],
    queryFn: () => answer(api.GET("/v1/queues/{queue}/consumers", { params: { path: { queue } } })),
    refetchInterval: every(5),
  });
}

/** The keys that have requested messages from the queue. */
export function Consumers({ queue }: { queue: string }) {
  const { data, error } = useConsumers(queue);
  return (
    <Card title="Consumers, last hour" label="Consumers">
      {data ? <Seen items={data.items} /> : error ? <ProblemNote error={error} /> : <Loading />}
    </Card>
  );
}

function Seen({ items }: { items: readonly Consumer[] }) {
  if (items.length === 0)
    return (
      <p class="hint">No consumer has asked for messages in the last hour. Webhooks have their own tab.</p>
    );
  return (
    <Table
      label="Consumers"
      columns={COLUMNS}
      items={items}
      keyOf={({ key_id, via }) => `${key_id} ${via}`}
    />
  );
}

const COLUMNS: Column<Consumer>[] = [
  { name: "key", head: "Key", kind: "grow", cell: (consumer) => <KeyName {...consumer} /> },
  { name: "via", head: "Via", cell: ({ via }) => PROTOCOLS[via] },
  {
    name: "waiting",
    head: "Waiting",
    kind: "number",
    cell: ({ waiting }) => (waiting === 0 ? <span class="faint">none</span> : count(waiting)),
  },
  { name: "asked", head: "Last seen", cell: ({ last_asked_at }) => <Ago time={last_asked_at} /> },
];
