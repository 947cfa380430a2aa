import { useQuery } from "@tanstack/preact-query";
import { answer, api } from "../api/client";
import { every } from "../api/polling";
import type { Consumer } from "../api/schema";
import { Card } from "../components/page";
import { ProblemNote } from "../components/problem";
import { Loading } from "../components/states";
import { type Column, Table } from "../components/table";
import { Ago } from "../components/time";
import { count } from "../format";

/** Whose keys ask the queue for messages. */
export function Consumers({ queue }: { queue: string }) {
  const { data, error } = useQuery({
    queryKey: ["queues", "consumers", queue],
    queryFn: () => answer(api.GET("/v1/queues/{queue}/consumers", { params: { path: { queue } } })),
    refetchInterval: every(5),
  });
  return (
    <Card title="Consumers, last hour" label="Consumers">
      {data ? <Seen items={data.items} /> : error ? <ProblemNote error={error} /> : <Loading />}
    </Card>
  );
}

function Seen({ items }: { items: readonly Consumer[] }) {
  if (items.length === 0)
    return <p class="hint">Nobody has asked for messages in the last hour. Webhooks have their own list.</p>;
  return (
    <Table
      label="Consumers"
      columns={COLUMNS}
      items={items}
      keyOf={({ key_id, via }) => `${key_id} ${via}`}
    />
  );
}

const WAYS: Record<Consumer["via"], string> = {
  receive: "HTTP receive",
  websocket: "WebSocket",
  events: "Server-sent events",
  socket_io: "Socket.IO",
};

const COLUMNS: Column<Consumer>[] = [
  { name: "key", head: "Key", kind: "grow", cell: ({ key_id, key_name }) => keyOf(key_id, key_name) },
  { name: "via", head: "By", cell: ({ via }) => WAYS[via] },
  {
    name: "waiting",
    head: "Waiting",
    kind: "number",
    cell: ({ waiting }) => (waiting === 0 ? <span class="faint">none now</span> : count(waiting)),
  },
  { name: "asked", head: "Last asked", cell: ({ last_asked_at }) => <Ago time={last_asked_at} /> },
];

function keyOf(id: string | null, name: string | null) {
  if (name !== null)
    return (
      <span class="mono clip" title={name}>
        {name}
      </span>
    );
  return <span class="faint">{id === null ? "the root key" : "a key that is gone"}</span>;
}
