import { useQueryClient } from "@tanstack/preact-query";
import { answer, api } from "../../api/client";
import type { Queue } from "../../api/schema";
import { messagesIn } from "../../components/charts/stats";
import { notify } from "../../components/states/toasts";
import { BulkBar, forEachInSession, throwFirst } from "../../components/tables/bulk";
import type { Selection } from "../../components/tables/selection";
import { plural } from "../../format";

export function QueuesBar({ queues, selection }: { queues: readonly Queue[]; selection: Selection }) {
  const { names } = selection;
  const chosen = queues.filter(({ name }) => selection.has(name));
  const typed = plural(names.length, "queue");
  const queries = useQueryClient();
  const each = async (verb: string, one: (queue: string) => Promise<unknown>) => {
    const { done, refused } = await forEachInSession(names, one);
    selection.settle(names, refused);
    notify(`${verb} ${plural(done, "queue")}.`);
    await queries.invalidateQueries({ queryKey: ["queues"] });
    throwFirst(refused);
  };
  const pause = (paused: boolean) => (queue: string) =>
    answer(api.PATCH("/v1/queues/{queue}", { params: { path: { queue } }, body: { paused } }));
  return (
    <BulkBar
      count={names.length}
      noun="queue"
      clear={() => selection.set([])}
      actions={[
        { name: "Pause", icon: "pause", run: () => each("Paused", pause(true)) },
        { name: "Resume", icon: "play", run: () => each("Resumed", pause(false)) },
        {
          name: "Purge",
          danger: true,
          typed,
          about: (
            <QueueList
              queues={chosen}
              lead="This permanently deletes all messages in these queues, including leased ones:"
            />
          ),
          run: () =>
            each("Purged", (queue) =>
              answer(api.POST("/v1/queues/{queue}/purge", { params: { path: { queue } } })),
            ),
        },
        {
          name: "Delete",
          danger: true,
          typed,
          about: (
            <QueueList queues={chosen} lead="This permanently deletes these queues and all their messages:" />
          ),
          run: () =>
            each("Deleted", (queue) =>
              answer(api.DELETE("/v1/queues/{queue}", { params: { path: { queue } } })),
            ),
        },
      ]}
    />
  );
}

function QueueList({ queues, lead }: { queues: readonly Queue[]; lead: string }) {
  return (
    <>
      <p>{lead}</p>
      <ul class="names">
        {queues.slice(0, 10).map(({ name, stats }) => (
          <li key={name}>
            <span class="mono">{name}</span> <span class="faint">{messagesIn(stats)}</span>
          </li>
        ))}
      </ul>
      {queues.length > 10 && <p>and {queues.length - 10} more.</p>}
    </>
  );
}
