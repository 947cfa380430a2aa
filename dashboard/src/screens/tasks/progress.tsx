import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answer, api } from "../../api/client";
import { every } from "../../api/polling";
import type { Task } from "../../api/schema";
import { Button } from "../../components/controls/button";
import { Dialog, Done } from "../../components/forms/dialog";
import { Badge } from "../../components/states/badge";
import { ProblemNote } from "../../components/states/problem";
import { count } from "../../format";

/** The progress of a task, which the service continues in the background. */
function TaskProgress({ id, done }: { id: string; done: () => void }) {
  const { data, error, refetch } = useQuery({
    queryKey: ["tasks", id],
    queryFn: async () => {
      const task = await answer(api.GET("/v1/tasks/{task_id}", { params: { path: { task_id: id } } }));
      if (task.state !== "running") done();
      return task;
    },
    refetchInterval: (query) =>
      query.state.data?.state === "running" || !query.state.data ? every(0.5)(query) : false,
  });
  const [failure, setFailure] = useState<Error | null>(null);
  if (!data) return error ? <ProblemNote error={error} /> : null;
  const cancel = () =>
    answer(api.DELETE("/v1/tasks/{task_id}", { params: { path: { task_id: id } } }))
      .then(() => refetch())
      .catch(setFailure);
  return (
    <div class="progress" role="status">
      <TaskBar task={data} />
      {data.state === "running" && (
        <Button icon="close" onClick={cancel}>
          Cancel
        </Button>
      )}
      {data.error && <p class="hint error">{data.error}</p>}
      {failure && <ProblemNote error={failure} />}
    </div>
  );
}

/** The progress of a task that was just started. The screen's data is refreshed when the task ends. */
export function TaskDialog({ title, id, onClose }: { title: string; id: string; onClose: () => void }) {
  const queries = useQueryClient();
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="stack">
        <TaskProgress id={id} done={() => void queries.invalidateQueries({ queryKey: ["queues"] })} />
        <p class="hint">The task continues if you close this dialog: see Tasks.</p>
        <Done onClose={onClose} />
      </div>
    </Dialog>
  );
}

export function TaskBar({ task }: { task: Task }) {
  const passed = task.moved + task.skipped;
  const all = passed + task.remaining;
  return (
    <div class="task-bar">
      <progress
        max={Math.max(1, all)}
        value={task.state === "done" ? Math.max(1, all) : passed}
        aria-label={`${task.kind}: ${passed} of ${all}`}
      />
      <span>
        <Badge state={task.state} /> {count(task.moved)} done
        {task.skipped > 0 && `, ${count(task.skipped)} skipped`}
        {task.state === "running" && `, ${count(task.remaining)} left`}
      </span>
    </div>
  );
}
