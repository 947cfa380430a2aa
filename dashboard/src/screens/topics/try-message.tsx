import { useState } from "preact/hooks";
import { useAccess } from "../../access";
import { answer, api, verbatim } from "../../api/client";
import type { Matches, Message, Published } from "../../api/schema";
import { Button } from "../../components/controls/button";
import { Card } from "../../components/page/card";
import { Badge } from "../../components/states/badge";
import { Empty } from "../../components/states/empty";
import { ProblemNote } from "../../components/states/problem";
import { notify } from "../../components/states/toasts";
import { CodeBox } from "../../components/text/copy";
import { curl } from "../../curl";
import { plural } from "../../format";
import { BLANK, isReady, MessageFields, requestText } from "../messages";

/** Shows which queues a message would reach and why the filters of the others do not match, and can publish it. */
export function TryMessage({ topic, fifo }: { topic: string; fifo: boolean }) {
  const { may } = useAccess();
  const [draft, setDraft] = useState(BLANK);
  // Kept with its request, so that the result is not shown next to another message.
  const [matched, setMatched] = useState<{ request: string; matches: Matches } | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const request = requestText(draft);
  const options = {
    params: { path: { topic } },
    ...verbatim<Message>(request),
  };
  const attempt = async (event: Event) => {
    event.preventDefault();
    setError(null);
    await answer(api.POST("/v1/topics/{topic}/match", options))
      .then((matches) => setMatched({ request, matches }))
      .catch(setError);
  };
  const publish = async () => {
    setBusy(true);
    setError(null);
    await answer(api.POST("/v1/topics/{topic}/messages", options))
      .then((published: Published) => notify(`Published to ${plural(published.delivered_to, "queue")}.`))
      .catch(setError);
    setBusy(false);
  };
  return (
    <Card title="Try a message">
      <div class="halves">
        <form class="stack" onSubmit={attempt}>
          <MessageFields
            draft={draft}
            fifo={fifo}
            error={error}
            change={(changes) => setDraft((old) => ({ ...old, ...changes }))}
          />
          <footer class="actions">
            <Button type="submit" kind="primary" disabled={!isReady(draft)}>
              Find matching queues
            </Button>
            {may("send") && (
              <Button icon="send" busy={busy} disabled={!isReady(draft)} onClick={publish}>
                Publish
              </Button>
            )}
          </footer>
          {error && <ProblemNote error={error} />}
        </form>
        <div class="stack">
          {matched?.request === request ? (
            <MatchList matches={matched.matches} />
          ) : (
            <p class="quiet">This only tests the message against the filters. Nothing is published.</p>
          )}
          <details>
            <summary>As curl</summary>
            <CodeBox text={curl("POST", `/v1/topics/${topic}/match`, request)} />
          </details>
        </div>
      </div>
    </Card>
  );
}

function MatchList({ matches }: { matches: Matches }) {
  if (matches.subscriptions.length === 0) return <Empty title="No queues are subscribed" />;
  return (
    <div role="status">
      <h3>{plural(matches.delivered_to, "queue")} would receive it</h3>
      <ul class="lines">
        {matches.subscriptions.map((match) => (
          <li key={match.subscription} class="line">
            <div class="line-text">
              <span class="mono clip">{match.queue}</span>
              {match.failed && <span class="faint wrap">{match.failed}</span>}
            </div>
            <Badge state={match.matches ? "succeeded" : "disabled"}>
              {match.matches ? "matches" : "does not match"}
            </Badge>
          </li>
        ))}
      </ul>
    </div>
  );
}
