import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answer, api } from "../api/client";
import { every } from "../api/polling";
import type { Task } from "../api/schema";
import { Button } from "../components/button";
import { Dialog, Done } from "../components/dialog";
import { ProblemNote } from "../components/problem";
import { Badge } from "../components/states";
import { count } from "../format";

/** A task that goes on in the service, whether or not anybody looks. */
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
  const [fault, setFault] = useState<Error | null>(null);
  if (!data) return error ? <ProblemNote error={error} /> : null;
  const cancel = () =>
    answer(api.DELETE("/v1/tasks/{task_id}", { params: { path: { task_id: id } } }))
      .then(() => refetch())
      .catch(setFault);
  return (
    <div class="progress" role="status">
      <TaskBar task={data} />
      {data.state === "running" && (
        <Button icon="close" onClick={cancel}>
          Cancel
        </Button>
      )}
      {data.error && <p class="hint error">{data.error}</p>}
      {fault && <ProblemNote error={fault} />}
    </div>
  );
}

/** A task that was just begun, until one closes the window; what the screen shows is asked for again at its end. */
export function TaskDialog({ title, id, onClose }: { title: string; id: string; onClose: () => void }) {
  const queries = useQueryClient();
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="stack">
        <TaskProgress id={id} done={() => void queries.invalidateQueries({ queryKey: ["queues"] })} />
        <p class="hint">It goes on when this window is closed: see Tasks.</p>
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
