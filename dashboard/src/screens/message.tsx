import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useMemo, useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { useAccess } from "../access";
import { answer, api, ProblemError } from "../api/client";
import { every } from "../api/polling";
import type { Queue, WaitingFor, WholeMessage } from "../api/schema";
import { TELLS_GONE } from "../api/stale";
import { type Body, BodyView } from "../components/body";
import { Button } from "../components/button";
import { CodeBox, CopyButton } from "../components/copy";
import { Confirm } from "../components/dialog";
import { Card, PageHead } from "../components/page";
import { ProblemNote } from "../components/problem";
import { Badge, Loading } from "../components/states";
import { Ago, At } from "../components/time";
import { say } from "../components/toasts";
import { curl } from "../curl";
import { bytes, plural, visible } from "../format";
import { memberText } from "../json";
import { MessageAttempts } from "./attempt";
import { asText, BLANK, base64, type MessageDraft, requestText, SendDialog } from "./send";

interface Seen {
  message: WholeMessage;
  body: Body;
}

export function MessageScreen({ queue, id }: { queue: Queue; id: string }) {
  const list = `/queues/${queue.name}/messages`;
  const { data, error, refetch } = useQuery({
    queryKey: ["queues", "message", queue.name, id],
    queryFn: () => look(queue.name, id),
    refetchInterval: every(3),
    meta: TELLS_GONE,
  });
  const head = <PageHead title={id} mono up={{ href: list, name: `Messages of ${queue.name}` }} />;
  if (error && !data) {
    return (
      <>
        {head}
        <ProblemNote error={error} again={() => refetch()} />
      </>
    );
  }
  if (!data) return <Loading />;
  const gone = error instanceof ProblemError && error.gone;
  return (
    <>
      <PageHead
        title={id}
        mono
        up={{ href: list, name: `Messages of ${queue.name}` }}
        about={<About message={data.message} gone={gone} />}
      >
        <Actions queue={queue} seen={data} gone={gone} />
      </PageHead>
      <div class="stack">
        {gone ? <Gone /> : <Why queue={queue.name} message={data.message} />}
        <div class="aside">
          <Card title="Body">
            <SteadyBody body={data.body} />
          </Card>
          <div class="stack">
            <Facts message={data.message} queue={queue} />
            <Headers headers={data.message.headers} />
            <History message={data.message} />
            <MessageAttempts queue={queue.name} id={id} />
          </div>
        </div>
      </div>
    </>
  );
}

/** The answer is read twice: as an object, and for its body as the text that it is. */
async function look(queue: string, id: string): Promise<Seen> {
  const text = (await answer(
    api.GET("/v1/queues/{queue}/messages/{message_id}", {
      params: { path: { queue, message_id: id } },
      parseAs: "text",
    }),
  )) as unknown as string;
  const message = JSON.parse(text) as WholeMessage;
  const json = memberText(text, "body");
  if (json !== null && !message.body_base64) return { message, body: { json } };
  return {
    message,
    body: { bytes: Uint8Array.from(atob(message.body_base64 ?? ""), (sign) => sign.charCodeAt(0)) },
  };
}

/** A body never changes: what was opened in it stays open when the message is asked for again. */
function SteadyBody({ body }: { body: Body }) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the first one stays
  const steady = useMemo(() => body, []);
  return <BodyView body={steady} />;
}

function About({ message, gone }: { message: WholeMessage; gone: boolean }) {
  return (
    <>
      {gone ? <Badge state="gone" /> : <Badge state={message.state} />}
      <span>
        sent <Ago time={message.sent_at} />
      </span>
      <CopyButton text={message.id} label="Copy the id" />
    </>
  );
}

function Gone() {
  return (
    <p class="note" role="note">
      <span>
        <strong>It is gone:</strong> somebody has deleted or moved it, or it has expired. What you see is from
        before.
      </span>
    </p>
  );
}

function Why({ queue, message }: { queue: string; message: WholeMessage }) {
  const waiting = message.waiting_for;
  if (!waiting)
    return (
      <p class="note good" role="note">
        It is ready: the next consumer that asks {message.dead_letter ? "this dead-letter queue" : ""} may get
        it.
      </p>
    );
  return (
    <p class="note" role="note">
      <span>
        <strong>Not being delivered:</strong> <Reason queue={queue} waiting={waiting} />
      </span>
    </p>
  );
}

function Reason({ queue, waiting }: { queue: string; waiting: WaitingFor }) {
  switch (waiting.reason) {
    case "lease":
      return (
        <>
          a consumer holds it
          {waiting.until && (
            <>
              {" "}
              until <At time={waiting.until} /> (<Ago time={waiting.until} />)
            </>
          )}
          .
        </>
      );
    case "delay":
      return (
        <>
          it is delayed
          {waiting.until && (
            <>
              {" "}
              until <At time={waiting.until} /> (<Ago time={waiting.until} />)
            </>
          )}
          .
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
      return <WebhookWaits queue={queue} detail={waiting.detail ?? null} />;
  }
}

function WebhookWaits({ queue, detail }: { queue: string; detail: string | null }) {
  const webhooks = `/queues/${queue}/webhooks`;
  if (detail === "blocked")
    return (
      <>
        its last attempt failed, and its webhook keeps what it cannot deliver.{" "}
        <Link href={webhooks}>Retry it there</Link>.
      </>
    );
  return (
    <>
      <Link href={webhooks}>its webhook</Link> waits{detail && `: ${detail}`}.
    </>
  );
}

function Facts({ message, queue }: { message: WholeMessage; queue: Queue }) {
  const times = [
    ["Sent", message.sent_at],
    ["Visible", message.visible_at],
    ["First received", message.first_received_at],
    ["Lease ends", message.lease_expires_at],
    ["Expires", message.expires_at],
  ] as const;
  return (
    <Card title="Facts">
      <dl class="facts">
        <dt>Receives</dt>
        <dd>
          {message.receive_count}
          {queue.dead_letter && ` of ${queue.dead_letter.max_receives}`}
        </dd>
        {message.attempts > 0 && (
          <>
            <dt>Push attempts</dt>
            <dd>{message.attempts}</dd>
          </>
        )}
        {message.group !== null && (
          <>
            <dt>Group</dt>
            <dd>
              <Link
                class="mono wrap"
                href={`/queues/${queue.name}/messages?group=${encodeURIComponent(message.group)}`}
              >
                {visible(message.group)}
              </Link>
            </dd>
          </>
        )}
        {queue.type === "standard" && (
          <>
            <dt>Priority</dt>
            <dd>{message.priority}</dd>
          </>
        )}
        <dt>Type</dt>
        <dd class="mono wrap">{message.content_type}</dd>
        <dt>Size</dt>
        <dd>{bytes(message.body_size)}</dd>
        {times.map(
          ([name, time]) =>
            time && (
              <>
                <dt>{name}</dt>
                <dd>
                  <At time={time} />
                </dd>
              </>
            ),
        )}
        {message.traceparent && (
          <>
            <dt>Trace</dt>
            <dd class="mono wrap">{message.traceparent}</dd>
          </>
        )}
      </dl>
    </Card>
  );
}

function Headers({ headers }: { headers: Record<string, string> }) {
  const entries = Object.entries(headers);
  if (entries.length === 0) return null;
  return (
    <Card title="Headers">
      <dl class="facts">
        {entries.map(([name, value]) => (
          <>
            <dt class="mono wrap">{name}</dt>
            <dd class="mono wrap">{value}</dd>
          </>
        ))}
      </dl>
    </Card>
  );
}

/** Where it was before, and what its consumers said. */
function History({ message }: { message: WholeMessage }) {
  const dead = message.dead_letter;
  if (!dead && !message.last_error && !message.published) return null;
  return (
    <Card title="History">
      <dl class="facts">
        {message.published && (
          <>
            <dt>Published to</dt>
            <dd>
              <Link class="mono" href={`/topics/${message.published.topic}`}>
                {message.published.topic}
              </Link>{" "}
              as <span class="mono wrap">{message.published.id}</span>
            </dd>
          </>
        )}
        {dead && (
          <>
            <dt>Came from</dt>
            <dd>
              <Link class="mono" href={`/queues/${dead.source_queue}`}>
                {dead.source_queue}
              </Link>
            </dd>
            <dt>Because</dt>
            <dd>
              {dead.reason.replaceAll("_", " ")} after {plural(dead.receive_count, "receive")}
            </dd>
            <dt>When</dt>
            <dd>
              <At time={dead.at} />
            </dd>
          </>
        )}
      </dl>
      {(message.last_error ?? dead?.last_error) && (
        <>
          <h3>Last error</h3>
          <CodeBox text={message.last_error ?? dead?.last_error ?? ""} label="Copy the error" />
        </>
      )}
    </Card>
  );
}

function typedBody(body: Body): Pick<MessageDraft, "kind" | "body"> {
  if ("json" in body) return { kind: "json", body: body.json };
  const text = asText(body.bytes);
  return text === null ? { kind: "base64", body: base64(body.bytes) } : { kind: "text", body: text };
}

function draftOf({ message, body }: Seen): MessageDraft {
  return {
    ...BLANK,
    ...typedBody(body),
    contentType: "json" in body && message.content_type === "application/json" ? "" : message.content_type,
    headers: Object.entries(message.headers)
      .map(([name, value]) => `${name}: ${value}`)
      .join("\n"),
    priority: message.priority ? String(message.priority) : "",
    group: message.group ?? "",
  };
}

function Actions({ queue, seen, gone }: { queue: Queue; seen: Seen; gone: boolean }) {
  const { may } = useAccess();
  const [open, setOpen] = useState<"again" | "delete" | "curl" | null>(null);
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const path = { queue: queue.name, message_id: seen.message.id };
  const close = () => setOpen(null);
  // A message that was repaired belongs where it came from, not among the dead.
  const target = seen.message.dead_letter?.source_queue ?? queue.name;
  return (
    <>
      <Button
        icon="copy"
        onClick={() => setOpen(open === "curl" ? null : "curl")}
        aria-expanded={open === "curl"}
      >
        As curl
      </Button>
      {may("send") && (
        <Button icon="send" onClick={() => setOpen("again")}>
          Edit and send again
        </Button>
      )}
      {may("manage") && !gone && (
        <Button kind="danger" disabled={seen.message.state === "leased"} onClick={() => setOpen("delete")}>
          Delete
        </Button>
      )}
      {open === "curl" && (
        <div class="below">
          <CodeBox
            text={curl("POST", `/v1/queues/${target}/messages`, requestText(draftOf(seen)))}
            label="Copy the command"
          />
        </div>
      )}
      {open === "again" && <SendDialog queue={target} start={draftOf(seen)} elsewhere onClose={close} />}
      {open === "delete" && (
        <Confirm
          title="Delete this message"
          action="Delete 1 message"
          onClose={close}
          run={async () => {
            await answer(api.DELETE("/v1/queues/{queue}/messages/{message_id}", { params: { path } }));
            say("Deleted 1 message.");
            navigate(`/queues/${queue.name}/messages`);
            await queries.invalidateQueries({ queryKey: ["queues"] });
          }}
        >
          <p>
            Message <strong class="mono wrap">{seen.message.id}</strong> is removed from {queue.name} for
            good.
          </p>
        </Confirm>
      )}
    </>
  );
}
