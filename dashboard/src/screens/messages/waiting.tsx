import { Link } from "wouter-preact";
import type { WaitingFor, Webhook, WholeMessage } from "../../api/schema";
import { PauseQueue } from "../../components/page/pause-queue";
import { Ago, At } from "../../components/text/time";
import { ResumeWebhook, StopReason, useWebhooks } from "../webhooks";
import { HolderName, LeasedSince } from "./holder";

/** Why a message is not being delivered, with a button that resolves it if there is one. */
export function Why({ queue, message }: { queue: string; message: WholeMessage }) {
  const waiting = message.waiting_for;
  if (!waiting)
    return (
      <p class="note good" role="note">
        It is ready: the next consumer that receives from this{" "}
        {message.dead_letter ? "dead-letter queue" : "queue"} may get it.
      </p>
    );
  return (
    <div class="note acts" role="note">
      <span>
        <strong>Not being delivered:</strong> <Reason queue={queue} waiting={waiting} />
      </span>
      <Remedy queue={queue} waiting={waiting} />
    </div>
  );
}

/** Why a message is not being delivered, for a sentence. */
export function Reason({ queue, waiting }: { queue: string; waiting: WaitingFor }) {
  switch (waiting.reason) {
    case "lease":
      return (
        <>
          <HolderName queue={queue} holder={waiting.holder} /> holds it
          <Until time={waiting.until} />. {waiting.holder && <LeasedSince holder={waiting.holder} />}
        </>
      );
    case "delay":
      return (
        <>
          it is delayed
          <Until time={waiting.until} />.
        </>
      );
    case "group":
      return (
        <>
          its group is held by{" "}
          <Link class="mono" href={`/queues/${queue}/messages/${waiting.message_id}`}>
            {waiting.message_id}
          </Link>
          .
        </>
      );
    case "paused":
      return <>the queue is paused.</>;
    default:
      return waiting.detail === "blocked" ? (
        <Blocked queue={queue} />
      ) : (
        <WebhooksStopped {...{ queue, waiting }} />
      );
  }
}

/** The button that resolves what a message is waiting for, if there is one. */
export function Remedy({ queue, waiting }: { queue: string; waiting: WaitingFor }) {
  if (waiting.reason === "paused") return <PauseQueue queue={{ name: queue, paused: true }} />;
  return waiting.reason === "webhook" && waiting.detail !== "blocked" ? <Resume queue={queue} /> : null;
}

function Resume({ queue }: { queue: string }) {
  const stopped = useWebhooks(queue)?.stopped;
  return stopped ? <ResumeWebhook queue={queue} webhook={stopped} /> : null;
}

function Until({ time }: { time: string | null | undefined }) {
  if (!time) return null;
  return (
    <>
      {" "}
      until <At time={time} /> (<Ago time={time} />)
    </>
  );
}

function Blocked({ queue }: { queue: string }) {
  return (
    <>
      its last attempt failed, and its webhook keeps a message that it cannot deliver.{" "}
      <Link href={`/queues/${queue}/webhooks`}>Retry it from its webhook</Link>.
    </>
  );
}

const STATES: Record<Webhook["state"], string> = {
  paused: "is paused",
  circuit_open: "has an open circuit",
  disabled: "is disabled",
};

/** The API's details about webhooks, for keys that may not see the webhooks themselves. */
const DETAILS: Record<string, string> = {
  paused: "is paused",
  "circuit open": "has an open circuit",
  disabled: "is disabled",
  rate: "has reached its rate limit",
  concurrency: "has reached its concurrency limit",
};

/** Why no webhook of the queue is taking messages, for a sentence. */
function WebhooksStopped({ queue, waiting }: { queue: string; waiting: WaitingFor }) {
  const { items, stopped } = useWebhooks(queue) ?? { items: [], stopped: undefined };
  if (stopped)
    return (
      <>
        {items.length > 1 ? `none of its ${items.length} webhooks is taking messages. Webhook` : "webhook"}{" "}
        <Link class="mono" href={`/queues/${queue}/webhooks/${stopped.name}`}>
          {stopped.name}
        </Link>{" "}
        {STATES[stopped.state]}. <StopReason webhook={stopped} />
      </>
    );
  const [detail] = waiting.detail?.split(" until ") ?? [];
  return (
    <>
      its webhook {DETAILS[detail ?? ""] ?? "is not taking messages"}
      <Until time={waiting.until} />.
    </>
  );
}
