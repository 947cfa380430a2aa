import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { answer, api } from "../../api/client";
import type { Task } from "../../api/schema";
import { IconButton } from "../../components/controls/button";
import { PageHead } from "../../components/page/head";
import { Empty } from "../../components/states/empty";
import { ProblemNote } from "../../components/states/problem";
import { Listing } from "../../components/tables/listing";
import { usePages } from "../../components/tables/pages";
import type { Column } from "../../components/tables/table";
import { Ago } from "../../components/text/time";
import { curl } from "../../curl";
import { TaskBar } from "./progress";

/** The tasks of the last seven days: redrives and actions on many messages. */
export function Tasks() {
  const [failure, setFailure] = useState<Error | null>(null);
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
      .catch(setFailure);
  return (
    <>
      <PageHead title="Tasks" />
      {failure && <ProblemNote error={failure} />}
      <Listing
        list={list}
        label="Tasks"
        columns={columns(cancel)}
        keyOf={({ id }) => id}
        rowHeight={56}
        empty={
          <Empty title="No tasks" curl={curl("POST", "/v1/queues/orders-dead/redrive", '{"rate": 100}')}>
            Redrives and actions on many messages run here in the background. Tasks are kept for seven days.
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
      head: "Started",
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
