import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAccess } from "../../access";
import { answer, api } from "../../api/client";
import type { Topic } from "../../api/schema";
import { Button } from "../../components/controls/button";
import { PageHead } from "../../components/page/head";
import { Empty } from "../../components/states/empty";
import { Listing } from "../../components/tables/listing";
import { usePages } from "../../components/tables/pages";
import type { Column } from "../../components/tables/table";
import { Ago } from "../../components/text/time";
import { curl } from "../../curl";
import { duration } from "../../format";
import { CreateTopic } from "./create";

export function Topics() {
  const { may } = useAccess();
  const [creating, setCreating] = useState(false);
  const list = usePages(
    ["topics", "list"],
    (cursor) =>
      answer(api.GET("/v1/topics", { params: { query: { limit: 200, ...(cursor && { cursor }) } } })),
    { seconds: 10 },
  );
  return (
    <>
      <PageHead title="Topics">
        {may("manage") && (
          <Button kind="primary" icon="plus" onClick={() => setCreating(true)}>
            Create topic
          </Button>
        )}
      </PageHead>
      <Listing
        list={list}
        label="Topics"
        columns={COLUMNS}
        keyOf={({ name }) => name}
        empty={
          <Empty
            title="No topics yet"
            curl={[
              curl("PUT", "/v1/topics/order-events"),
              curl(
                "PUT",
                "/v1/topics/order-events/subscriptions/mail",
                '{"queue": "mail", "filter": {"headers": {"kind": ["order.paid"]}}}',
              ),
            ].join("\n")}
          >
            A message published to a topic is copied to every subscribed queue whose filter matches:
          </Empty>
        }
      />
      {creating && <CreateTopic onClose={() => setCreating(false)} />}
    </>
  );
}

const COLUMNS: Column<Topic>[] = [
  {
    name: "name",
    head: "Name",
    kind: "grow",
    cell: ({ name, type }) => (
      <span class="name-cell">
        <Link class="mono clip" href={`/topics/${name}`} title={name}>
          {name}
        </Link>
        {type === "fifo" && <span class="badge grey">fifo</span>}
      </span>
    ),
  },
  {
    name: "window",
    head: "Deduplication",
    kind: "number extra",
    cell: ({ deduplication_window }) => duration(deduplication_window),
  },
  { name: "created", head: "Created", kind: "number", cell: ({ created_at }) => <Ago time={created_at} /> },
];
