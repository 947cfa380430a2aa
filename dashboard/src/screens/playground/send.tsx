import { useState } from "preact/hooks";
import { Button } from "../../components/controls/button";
import { Card } from "../../components/page/card";
import { ProblemNote } from "../../components/states/problem";
import { CodeBox } from "../../components/text/copy";
import { curl } from "../../curl";
import {
  fitting,
  isReady,
  type MessageDraft,
  MessageFields,
  requestText,
  sendText,
  useFifo,
} from "../messages";

export function Send({
  queue,
  draft,
  setDraft,
}: {
  queue: string;
  draft: MessageDraft;
  setDraft: (change: (old: MessageDraft) => MessageDraft) => void;
}) {
  const [outcome, setOutcome] = useState<string | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const fifo = useFifo(queue);
  const request = requestText(fitting(draft, fifo));
  const send = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    setOutcome(null);
    await sendText(queue, request)
      .then((sent) => setOutcome(JSON.stringify(sent, null, 2)))
      .catch(setError);
    setBusy(false);
  };
  return (
    <Card title="Send">
      <form class="stack" onSubmit={send}>
        <MessageFields
          draft={draft}
          fifo={fifo}
          error={error}
          change={(changes) => setDraft((old) => ({ ...old, ...changes }))}
        />
        <CodeBox text={curl("POST", `/v1/queues/${queue}/messages`, request)} />
        <Button type="submit" kind="primary" icon="send" busy={busy} disabled={!isReady(draft)}>
          Send
        </Button>
        {error && <ProblemNote error={error} />}
        {outcome && <CodeBox text={outcome} />}
      </form>
    </Card>
  );
}
