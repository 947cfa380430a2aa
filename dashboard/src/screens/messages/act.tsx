import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answer, api, ProblemError } from "../../api/client";
import { every } from "../../api/polling";
import type { ActionFields, FilterFields, Queue, Task } from "../../api/schema";
import { useDebounced } from "../../components/forms/debounced";
import { SelectField, TextField } from "../../components/forms/field";
import { fieldProblem, ProblemNote } from "../../components/states/problem";
import { plural, visible } from "../../format";
import { numberOrNull, RateField, TaskForm } from "../tasks";

export type Action = ActionFields["action"] | "redrive";

/** The selected messages: those that match a filter, or those with these ids. */
export type Chosen = { filter: FilterFields } | { message_ids: string[] };

const VERBS: Record<Action, string> = {
  redrive: "Redrive",
  delete: "Delete",
  move: "Move",
  release_delay: "Make ready",
};

/** A dialog for an action on the selected messages. It counts them first, then starts a task. */
export function ActOn({
  queue,
  chosen,
  start,
  title = "Act on all matching messages",
  onClose,
}: {
  queue: Pick<Queue, "name" | "type">;
  chosen: Chosen;
  start: Action;
  title?: string;
  onClose: () => void;
}) {
  const [action, setAction] = useState<Action>(start);
  const [to, setTo] = useState("");
  const [rate, setRate] = useState("");
  const [typed, setTyped] = useState("");
  const settled = useDebounced(to.trim());
  const target = action === "move" ? settled : null;
  const params = { path: { queue: queue.name } };
  // A redrive has no dry run, so count with a deletion, which selects the same messages.
  const count = () =>
    answer(
      api.POST("/v1/queues/{queue}/messages/actions", {
        params,
        body: { ...moved(action === "redrive" ? "delete" : action, target), ...chosen, dry_run: true },
      }),
    );
  const begin = () =>
    action === "redrive"
      ? answer(
          api.POST("/v1/queues/{queue}/redrive", {
            params,
            body: { ...chosen, rate: numberOrNull(rate) },
          }),
        )
      : answer(
          api.POST("/v1/queues/{queue}/messages/actions", {
            params,
            body: { ...moved(action, target), ...chosen },
          }),
        );
  const matched = useQuery({
    // Not under the key "queues", which is refreshed when the task is done.
    queryKey: ["matched", queue.name, chosen, action, target],
    queryFn: async () => (await count()) as { matched: number },
    enabled: target !== "",
    staleTime: 0,
    gcTime: 0,
    refetchInterval: (query) => !isUncountable(query.state.error) && every(null)(query),
  });
  const n = matched.data?.matched;
  const uncounted = isUncountable(matched.error);
  const all = "filter" in chosen && Object.keys(chosen.filter).length === 0;
  const sure = action !== "delete" || !all || typed === queue.name;
  return (
    <TaskForm
      title={title}
      action={
        n === undefined
          ? `${VERBS[action]} all matching messages`
          : `${VERBS[action]} ${plural(n, "message")}`
      }
      ready={settled === to.trim() && (Boolean(n) || uncounted) && sure}
      danger={action === "delete"}
      begin={async () => (await begin()) as unknown as Task}
      onClose={onClose}
    >
      {(error) => (
        <>
          <ChosenWords queue={queue.name} chosen={chosen} />
          <SelectField
            label="Action"
            value={action}
            onValue={setAction}
            options={[
              ...(start === "redrive" ? ([["redrive", "Redrive to their source queues"]] as const) : []),
              ["delete", "Delete"],
              ["move", "Move to another queue"],
              ["release_delay", "Make delayed messages ready now"],
            ]}
          />
          {action === "redrive" && <RateField rate={rate} onRate={setRate} messages={n} error={error} />}
          {action === "delete" && all && (
            <TextField label={`Type ${queue.name} to confirm`} mono value={typed} onValue={setTyped} />
          )}
          {action === "move" && (
            <TextField
              label="Destination queue"
              mono
              value={to}
              onValue={setTo}
              error={fieldProblem(error ?? matched.error, "/to")}
              hint={`A ${queue.type} queue`}
            />
          )}
          <p role="status">
            {n !== undefined && `${plural(n, "message")} ${n === 1 ? "matches" : "match"} now.`}
            {uncounted && "There are too many messages to count."}
            {matched.isFetching && n === undefined && "Counting…"}
          </p>
          {matched.error && !uncounted && <ProblemNote error={matched.error} />}
        </>
      )}
    </TaskForm>
  );
}

/** Return whether there are too many messages for the service to count. It can act on them all the same. */
function isUncountable(error: Error | null): boolean {
  return error instanceof ProblemError && error.problem.code === "too_many_to_count";
}

function moved(action: ActionFields["action"], target: string | null) {
  return { action, ...(target !== null && { to: target }) };
}

function ChosenWords({ queue, chosen }: { queue: string; chosen: Chosen }) {
  const parts = "filter" in chosen ? Object.entries(chosen.filter) : [];
  const every = "filter" in chosen ? "All messages" : plural(chosen.message_ids.length, "selected message");
  return (
    <p>
      {every} in <strong class="mono">{queue}</strong>
      {parts.length > 0 && " whose "}
      {parts.map(([name, value], index) => (
        <span key={name}>
          {index > 0 && " and "}
          {wordsFor(name)} is{" "}
          {value === "" ? "empty" : <strong class="mono wrap">{visible(String(value))}</strong>}
        </span>
      ))}
      , except leased ones.
    </p>
  );
}

function wordsFor(name: string): string {
  return name.replace("header.", "header ").replace("dead_letter.", "").replaceAll("_", " ");
}

/** Return whether this is the dead-letter queue of another queue; undefined until that is known. */
export function useTakesDeadLetters(queue: string): boolean | undefined {
  const { data } = useQuery({
    queryKey: ["queues", "takes dead letters", queue],
    queryFn: () =>
      answer(api.GET("/v1/queues", { params: { query: { prefix: queue, dead_letters: true, limit: 1 } } })),
  });
  // In the order of names, a name comes before the longer names that start with it.
  return data && data.items[0]?.name === queue;
}
