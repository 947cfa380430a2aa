import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { useAccess } from "../access";
import { answer, api } from "../api/client";
import type { Topic } from "../api/schema";
import { Button } from "../components/button";
import { FormDialog } from "../components/dialog";
import { SelectField, TextField } from "../components/field";
import { Listing } from "../components/listing";
import { PageHead } from "../components/page";
import { usePages } from "../components/pages";
import { Empty } from "../components/states";
import type { Column } from "../components/table";
import { Ago } from "../components/time";
import { say } from "../components/toasts";
import { curl } from "../curl";
import { duration } from "../format";

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
            What is published to a topic is copied to every queue that subscribes to it and whose filter
            matches:
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

function CreateTopic({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [type, setType] = useState<"standard" | "fifo">("standard");
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const create = async () => {
    const topic = name.trim();
    const params = { path: { topic }, header: { "If-None-Match": "*" } };
    await answer(api.PUT("/v1/topics/{topic}", { params, body: { type } }));
    await queries.invalidateQueries({ queryKey: ["topics"] });
    say(`Created ${topic}.`);
    navigate(`/topics/${topic}`);
  };
  return (
    <FormDialog
      title="Create topic"
      action="Create topic"
      ready={name.trim() !== ""}
      run={create}
      onClose={onClose}
    >
      {() => (
        <>
          <TextField label="Name" mono required autofocus value={name} onValue={setName} />
          <SelectField
            label="Type"
            hint="Its subscribed queues have the same. Cannot be changed later."
            value={type}
            onValue={setType}
            options={[
              ["standard", "Standard"],
              ["fifo", "Fifo: in order within groups, in every queue"],
            ]}
          />
        </>
      )}
    </FormDialog>
  );
}
