import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answer, api, ProblemError } from "../api/client";
import { every } from "../api/polling";
import type { ActionFields, FilterFields, Queue, Task } from "../api/schema";
import { useDebounced } from "../components/debounced";
import { FormDialog } from "../components/dialog";
import { SelectField, TextField } from "../components/field";
import { fieldProblem, ProblemNote } from "../components/problem";
import { plural, visible } from "../format";
import { TaskDialog } from "./task-progress";

type Action = ActionFields["action"];

const VERBS: Record<Action, string> = { delete: "Delete", move: "Move", release_delay: "Make ready" };

/** One action on every message that matches: counted first, then a task of the service. */
export function ActOnAll({
  queue,
  filter,
  onClose,
}: {
  queue: Queue;
  filter: FilterFields;
  onClose: () => void;
}) {
  const [action, setAction] = useState<Action>("delete");
  const [to, setTo] = useState("");
  const [task, setTask] = useState<string | null>(null);
  const settled = useDebounced(to.trim());
  const target = action === "move" ? settled : null;
  const act = (dry_run: boolean) =>
    answer(
      api.POST("/v1/queues/{queue}/messages/actions", {
        params: { path: { queue: queue.name } },
        body: { action, filter, dry_run, ...(target !== null && { to: target }) },
      }),
    );
  const matched = useQuery({
    queryKey: ["queues", "matched", queue.name, filter, action, target],
    queryFn: async () => (await act(true)) as { matched: number },
    enabled: target !== "" && task === null,
    staleTime: 0,
    gcTime: 0,
    refetchInterval: (query) => !isUncountable(query.state.error) && every(null)(query),
  });
  const title = "Act on all that match";
  if (task !== null) return <TaskDialog title={title} id={task} onClose={onClose} />;
  const n = matched.data?.matched;
  const uncounted = isUncountable(matched.error);
  return (
    <FormDialog
      title={title}
      action={
        n === undefined ? `${VERBS[action]} all that match` : `${VERBS[action]} ${plural(n, "message")}`
      }
      ready={settled === to.trim() && (Boolean(n) || uncounted)}
      danger={action === "delete"}
      run={async () => setTask(((await act(false)) as unknown as Task).id)}
      stays
      onClose={onClose}
    >
      {(error) => (
        <>
          <FilterWords queue={queue.name} filter={filter} />
          <SelectField
            label="What to do"
            value={action}
            onValue={setAction}
            options={[
              ["delete", "Delete them"],
              ["move", "Move them to another queue"],
              ["release_delay", "Make the delayed ones ready now"],
            ]}
          />
          {action === "move" && (
            <TextField
              label="To the queue"
              mono
              value={to}
              onValue={setTo}
              error={fieldProblem(error ?? matched.error, "/to")}
              hint={`A ${queue.type} queue`}
            />
          )}
          <p role="status">
            {n !== undefined && `${plural(n, "message")} match now.`}
            {uncounted && "There are too many to be counted while you wait."}
            {matched.isFetching && n === undefined && "Counting …"}
          </p>
          {matched.error && !uncounted && <ProblemNote error={matched.error} />}
        </>
      )}
    </FormDialog>
  );
}

/** Whether there are so many that the service does not count them while one waits: it acts on them all the same. */
function isUncountable(error: Error | null): boolean {
  return error instanceof ProblemError && error.problem.code === "too_many_to_count";
}

function FilterWords({ queue, filter }: { queue: string; filter: FilterFields }) {
  const parts = Object.entries(filter);
  return (
    <p>
      {parts.length === 0 ? "Every message" : "Messages"} of <strong class="mono">{queue}</strong> that no
      consumer holds
      {parts.length > 0 && " and whose "}
      {parts.map(([name, value], index) => (
        <span key={name}>
          {index > 0 && " and "}
          {name.replace("header.", "header ")} is <strong class="mono wrap">{visible(String(value))}</strong>
        </span>
      ))}
      .
    </p>
  );
}
