import { useQuery } from "@tanstack/preact-query";
import type { ComponentChildren } from "preact";
import { Link } from "wouter-preact";
import { useAccess } from "../../access";
import { answer, api, ProblemError } from "../../api/client";
import { every } from "../../api/polling";
import type { Consumer, Queue, WaitingFor, WholeMessage } from "../../api/schema";
import { Ago, At } from "../../components/text/time";
import { Reason, Remedy } from "../messages";
import { useWebhooks } from "../webhooks";
import { useConsumers } from "./consumers";

/** A consumer whose last request is older than this (milliseconds) does not count as active. */
const RECENT = 60_000;

/**
 * Why the queue's oldest message is not being delivered, or nothing if it can be. A cause that holds back the whole queue
 * takes precedence over one that holds back only the oldest message.
 */
export function StallNote({ queue, flowing }: { queue: Queue; flowing: boolean }) {
  const { may } = useAccess();
  const { data: oldest } = useOldest(queue);
  const consumers = useConsumers(queue.name).data?.items;
  const webhooks = useWebhooks(queue.name);
  if (!oldest) return null;
  const about = { queue, oldest };
  if (queue.paused) return <Stopped {...about} cause={{ reason: "paused" }} />;
  if (!consumers || (may("manage") && !webhooks)) return null;
  const waiting = oldest.waiting_for;
  if (!consumers.some(asksNow)) {
    if (areWebhooksStopped(waiting)) return <Stopped {...about} cause={waiting} />;
    if (webhooks?.stopped) return <Stopped {...about} cause={{ reason: "webhook" }} />;
    // In a fifo queue, all ready messages may be held by their groups.
    const deliverable = !waiting || (queue.type === "standard" && queue.stats.ready > 0);
    if (deliverable && !flowing && !webhooks?.items.length)
      return <NoConsumers {...about} consumers={consumers} hidden={!webhooks} />;
  }
  return waiting && <OldestWaits {...about} waiting={waiting} flowing={flowing} />;
}

function asksNow({ waiting, last_asked_at }: Consumer): boolean {
  return waiting > 0 || Date.now() - Date.parse(last_asked_at) < RECENT;
}

/** Return whether the queue's webhooks are stopped, rather than only at a limit. */
function areWebhooksStopped(waiting: WaitingFor | null): waiting is WaitingFor {
  return waiting?.reason === "webhook" && /^(paused|circuit open|disabled)/.test(waiting.detail ?? "");
}

/** Return the oldest message and what it is waiting for. */
function useOldest({ name, stats }: Queue) {
  return useQuery({
    queryKey: ["queues", "oldest", name],
    queryFn: async () => {
      const params = { path: { queue: name }, query: { limit: 1 } };
      const [first] = (await answer(api.GET("/v1/queues/{queue}/messages", { params }))).items;
      if (!first) return null;
      const path = { queue: name, message_id: first.id };
      const asked = api.GET("/v1/queues/{queue}/messages/{message_id}", { params: { path } });
      // A consumer may have deleted it by now, so it is no longer the oldest.
      return answer(asked).catch((error) => {
        if (error instanceof ProblemError && error.gone) return null;
        throw error;
      });
    },
    enabled: stats.total > 0,
    refetchInterval: every(5),
  });
}

interface About {
  queue: Queue;
  oldest: WholeMessage;
}

function Stopped({ queue, oldest, cause }: About & { cause: WaitingFor }) {
  return (
    <Note remedy={<Remedy queue={queue.name} waiting={cause} />}>
      <strong>Nothing is being delivered:</strong> <Reason queue={queue.name} waiting={cause} />{" "}
      <Since queue={queue} oldest={oldest} />
    </Note>
  );
}

function OldestWaits({ queue, oldest, waiting, flowing }: About & { waiting: WaitingFor; flowing: boolean }) {
  const leased = queue.stats.leased - (oldest.state === "leased" ? 1 : 0);
  return (
    <Note remedy={<Remedy queue={queue.name} waiting={waiting} />}>
      <strong>
        The <Oldest queue={queue} id={oldest.id} /> is waiting:
      </strong>{" "}
      <Reason queue={queue.name} waiting={waiting} />
      {queue.type === "fifo" && oldest.state !== "ready" && " Its group is waiting for it."}
      {(flowing || leased > 0) && " Other messages are being delivered."}
    </Note>
  );
}

function NoConsumers({
  queue,
  oldest,
  consumers,
  hidden,
}: About & { consumers: readonly Consumer[]; hidden: boolean }) {
  const asked = consumers.map(({ last_asked_at }) => last_asked_at).sort();
  const last = asked.at(-1);
  return (
    <Note>
      <strong>Nothing is being delivered:</strong> no consumer is asking for messages.{" "}
      {last ? (
        <>
          The last request was <Ago time={last} />.
        </>
      ) : (
        "There were no requests in the last hour."
      )}{" "}
      {hidden && "This key may not see whether the queue has webhooks. "}
      <Since queue={queue} oldest={oldest} />
    </Note>
  );
}

function Since({ queue, oldest }: About) {
  return (
    <>
      The <Oldest queue={queue} id={oldest.id} /> was sent at <At time={oldest.sent_at} /> (
      <Ago time={oldest.sent_at} />
      ).
    </>
  );
}

function Oldest({ queue, id }: { queue: Queue; id: string }) {
  return <Link href={`/queues/${queue.name}/messages/${id}`}>oldest message</Link>;
}

function Note({ remedy, children }: { remedy?: ComponentChildren; children: ComponentChildren }) {
  return (
    <div class="note acts" role="note">
      <span>{children}</span>
      {remedy}
    </div>
  );
}
