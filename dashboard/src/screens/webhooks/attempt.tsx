import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answer, api } from "../../api/client";
import { every } from "../../api/polling";
import type { Attempt, MessageAttempt } from "../../api/schema";
import { REPORTS_GONE } from "../../api/stale";
import { Dialog } from "../../components/forms/dialog";
import { Card } from "../../components/page/card";
import { Badge } from "../../components/states/badge";
import { Scroll } from "../../components/text/scroll";
import { Ago, At } from "../../components/text/time";
import { duration } from "../../format";

/** One request to a webhook, and the beginning of the response. */
export function AttemptDetail({ attempt }: { attempt: Attempt }) {
  return (
    <div class="stack">
      <p>
        <Badge state={attempt.outcome} />{" "}
        {attempt.status ? `Answered ${attempt.status}` : (attempt.error ?? "No response")} after{" "}
        {duration(attempt.duration)}
      </p>
      {attempt.error && attempt.status !== null && <p class="hint error">{attempt.error}</p>}
      <dl class="facts">
        <dt>Started</dt>
        <dd>
          <At time={attempt.started_at} />
        </dd>
        <dt>Attempt</dt>
        <dd>{attempt.number}</dd>
        <dt>Message</dt>
        <dd class="mono wrap">{attempt.message_id}</dd>
      </dl>
      <h3>Response</h3>
      <Scroll class="text answer">{attempt.response_excerpt || "(empty)"}</Scroll>
    </div>
  );
}

/** The attempts to push a message. Renders nothing if there were none. */
export function MessageAttempts({ queue, id }: { queue: string; id: string }) {
  const [shown, setShown] = useState<MessageAttempt | null>(null);
  const { data } = useQuery({
    queryKey: ["queues", "message attempts", queue, id],
    queryFn: () =>
      answer(
        api.GET("/v1/queues/{queue}/messages/{message_id}/attempts", {
          params: { path: { queue, message_id: id }, query: { limit: 50 } },
        }),
      ),
    refetchInterval: every(5),
    meta: REPORTS_GONE,
  });
  if (!data || data.items.length === 0) return null;
  return (
    <Card title={data.next_cursor ? "Last 50 push attempts" : "Push attempts"}>
      <ul class="lines">
        {data.items.map((attempt) => (
          <li key={attempt.id} class="line">
            <Badge state={attempt.outcome} />
            <button type="button" class="link line-text" onClick={() => setShown(attempt)}>
              <strong class="clip">{attempt.status ?? attempt.error}</strong>
              <span class="faint clip">
                {attempt.webhook ?? "a deleted webhook"} of {attempt.queue}, attempt {attempt.number}
              </span>
            </button>
            <Ago time={attempt.started_at} />
          </li>
        ))}
      </ul>
      {shown && (
        <Dialog title="Attempt" onClose={() => setShown(null)} wide>
          <AttemptDetail attempt={shown} />
        </Dialog>
      )}
    </Card>
  );
}
