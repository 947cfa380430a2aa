import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { answer, api } from "../api/client";
import type { Task } from "../api/schema";
import { IconButton } from "../components/button";
import { Listing } from "../components/listing";
import { PageHead } from "../components/page";
import { usePages } from "../components/pages";
import { ProblemNote } from "../components/problem";
import { Empty } from "../components/states";
import type { Column } from "../components/table";
import { Ago } from "../components/time";
import { curl } from "../curl";
import { TaskBar } from "./task-progress";

/** Redrives and actions on many messages, of the last seven days. */
export function Tasks() {
  const [fault, setFault] = useState<Error | null>(null);
  const list = usePages(
    ["tasks", "list"],
    (cursor) =>
      answer(
        api.GET("/v1/tasks", {
          params: { query: { limit: 100, order: "newest", ...(cursor && { cursor }) } },
        }),
      ),
    { seconds: 2 },
  );
  const cancel = ({ id }: Task) =>
    answer(api.DELETE("/v1/tasks/{task_id}", { params: { path: { task_id: id } } }))
      .then(() => list.refetch())
      .catch(setFault);
  return (
    <>
      <PageHead title="Tasks" />
      {fault && <ProblemNote error={fault} />}
      <Listing
        list={list}
        label="Tasks"
        columns={columns(cancel)}
        keyOf={({ id }) => id}
        rowHeight={56}
        empty={
          <Empty title="No tasks" curl={curl("POST", "/v1/queues/orders-dead/redrive", '{"rate": 100}')}>
            Redrives and actions on many messages go on here, whether or not anybody looks. They are kept for
            seven days.
          </Empty>
        }
      />
    </>
  );
}

function columns(cancel: (task: Task) => void): Column<Task>[] {
  return [
    {
      name: "kind",
      head: "Task",
      kind: "grow",
      cell: ({ kind, queue, id }) => (
        <span class="preview">
          <span class="clip">
            {kind.replaceAll("_", " ")}{" "}
            <Link class="mono" href={`/queues/${queue}`}>
              {queue}
            </Link>
          </span>
          <span class="mono faint clip">{id}</span>
        </span>
      ),
    },
    { name: "state", head: "Progress", cell: (task) => <TaskBar task={task} /> },
    {
      name: "begun",
      head: "Begun",
      kind: "number extra",
      cell: ({ created_at }) => <Ago time={created_at} />,
    },
    {
      name: "cancel",
      head: <span class="hidden">Cancel</span>,
      cell: (task) =>
        task.state === "running" && (
          <IconButton
            icon="close"
            label={`Cancel ${task.kind} of ${task.queue}`}
            onClick={() => cancel(task)}
          />
        ),
    },
  ];
}
