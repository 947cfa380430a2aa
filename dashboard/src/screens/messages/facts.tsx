import { Link } from "wouter-preact";
import type { Queue, WholeMessage } from "../../api/schema";
import { Card } from "../../components/page/card";
import { CodeBox } from "../../components/text/copy";
import { At } from "../../components/text/time";
import { bytes, plural, visible } from "../../format";

export function Facts({ message, queue }: { message: WholeMessage; queue: Queue }) {
  const times = [
    ["Sent", message.sent_at],
    ["Visible", message.visible_at],
    ["First received", message.first_received_at],
    ["Lease ends", message.lease_expires_at],
    ["Expires", message.expires_at],
  ] as const;
  return (
    <Card title="Details">
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

export function Headers({ headers }: { headers: Record<string, string> }) {
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

/** Where the message came from, and its last error. */
export function History({ message }: { message: WholeMessage }) {
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
            <dt>Source queue</dt>
            <dd>
              <Link class="mono" href={`/queues/${dead.source_queue}`}>
                {dead.source_queue}
              </Link>
            </dd>
            <dt>Reason</dt>
            <dd>
              {dead.reason.replaceAll("_", " ")} after{" "}
              {dead.reason === "push_failed"
                ? plural(dead.attempts ?? 0, "attempt")
                : plural(dead.receive_count, "receive")}
            </dd>
            <dt>Dead-lettered</dt>
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
