import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAccess } from "../../access";
import { answer, api } from "../../api/client";
import type { Queue, Webhook } from "../../api/schema";
import { Button } from "../../components/controls/button";
import { PageHead } from "../../components/page/head";
import { Badge } from "../../components/states/badge";
import { Empty } from "../../components/states/empty";
import { Listing } from "../../components/tables/listing";
import { usePages } from "../../components/tables/pages";
import type { Column } from "../../components/tables/table";
import { curl } from "../../curl";
import { duration, percent } from "../../format";
import { useParams } from "../../params";
import { WebhookDialog } from "./form";

type Listed = Webhook & { queue: string };

/** The webhooks of all queues, filtered by state. */
export function Webhooks() {
  const [param, setParam] = useParams<"state">();
  const state = param("state") as "" | "active" | "paused" | "circuit_open" | "disabled";
  const list = usePages(
    ["queues", "all webhooks", state],
    (cursor) =>
      answer(
        api.GET("/v1/webhooks", {
          params: { query: { limit: 100, ...(state && { state }), ...(cursor && { cursor }) } },
        }),
      ),
    { seconds: 5 },
  );
  return (
    <>
      <PageHead title="Webhooks" />
      <div class="toolbar">
        <label class="inline">
          <span>State</span>
          <select value={state} onChange={(event) => setParam({ state: event.currentTarget.value })}>
            <option value="">Any</option>
            <option value="active">Active</option>
            <option value="paused">Paused</option>
            <option value="circuit_open">Circuit open</option>
            <option value="disabled">Disabled</option>
          </select>
        </label>
      </div>
      <Listing
        list={list}
        {...table([NAME, QUEUE, ...COLUMNS])}
        empty={
          <Empty title={state ? "No webhooks in this state" : "No webhooks yet"} curl={example("orders")}>
            A webhook pushes the messages of a queue to a URL, in signed requests that are retried until the
            answer is 2xx:
          </Empty>
        }
      />
    </>
  );
}

export function QueueWebhooks({ queue }: { queue: Queue }) {
  const { may } = useAccess();
  const [creating, setCreating] = useState(false);
  const list = usePages(
    ["queues", "webhooks", queue.name],
    async (cursor) => {
      const params = { path: { queue: queue.name }, query: { limit: 100, ...(cursor && { cursor }) } };
      const page = await answer(api.GET("/v1/queues/{queue}/webhooks", { params }));
      return { ...page, items: page.items.map((webhook): Listed => ({ ...webhook, queue: queue.name })) };
    },
    { seconds: 5 },
  );
  return (
    <div class="stack">
      {may("manage") && (
        <div class="toolbar">
          <Button icon="plus" onClick={() => setCreating(true)}>
            Add webhook
          </Button>
        </div>
      )}
      <Listing
        list={list}
        {...table([NAME, ...COLUMNS])}
        empty={
          <Empty title="No webhooks" curl={example(queue.name)}>
            Consumers pull messages from this queue. A webhook pushes them to a URL instead:
          </Empty>
        }
      />
      {creating && <WebhookDialog queue={queue.name} onClose={() => setCreating(false)} />}
    </div>
  );
}

function table(columns: readonly Column<Listed>[]) {
  return {
    label: "Webhooks",
    columns,
    rowHeight: 52,
    keyOf: ({ queue, name }: Listed) => `${queue} ${name}`,
  };
}

const NAME: Column<Listed> = {
  name: "name",
  head: "Webhook",
  kind: "grow",
  cell: ({ queue, name, url }) => (
    <Link class="preview" href={`/queues/${queue}/webhooks/${name}`}>
      <span class="mono clip">{name}</span>
      <span class="faint clip">{url}</span>
    </Link>
  ),
};

const QUEUE: Column<Listed> = {
  name: "queue",
  head: "Queue",
  kind: "extra",
  cell: ({ queue }) => (
    <Link class="mono clip" href={`/queues/${queue}`}>
      {queue}
    </Link>
  ),
};

const COLUMNS: Column<Listed>[] = [
  { name: "state", head: "State", cell: ({ state }) => <Badge state={state} /> },
  { name: "success", head: "Success", kind: "number", cell: ({ success_rate }) => percent(success_rate) },
  {
    name: "latency",
    head: "Latency",
    kind: "number extra",
    cell: ({ latency }) => (latency === null ? "–" : duration(latency)),
  },
];

function example(queue: string): string {
  return curl("PUT", `/v1/queues/${queue}/webhooks/shop`, '{"url": "https://shop.example/hooks"}');
}
