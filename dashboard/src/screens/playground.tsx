import { useEffect, useRef, useState } from "preact/hooks";
import { useAccess } from "../access";
import { answer, api } from "../api/client";
import { Button } from "../components/button";
import { CodeBox } from "../components/copy";
import { TextField } from "../components/field";
import { Card, PageHead } from "../components/page";
import { ProblemNote } from "../components/problem";
import { Ago } from "../components/time";
import { curl } from "../curl";
import { useParams } from "../params";
import { allHeldFrom, type Held } from "../received";
import {
  BLANK,
  fitting,
  isReady,
  type MessageDraft,
  MessageFields,
  requestText,
  sendText,
  useFifo,
} from "./send";
import { Stream } from "./stream";

/** Everything that a program does with a queue, by hand; each with the command that does the same. */
export function Playground() {
  const [param, setParam] = useParams<"queue">();
  const { may } = useAccess();
  const queue = param("queue");
  // What was typed and what is held stay, whichever queue is chosen next.
  const [draft, setDraft] = useState(BLANK);
  const [held, setHeld] = useState<Held[]>([]);
  return (
    <>
      <PageHead title="Playground" />
      <div class="stack">
        <Card label="Which queue">
          <QueueField key={queue} queue={queue} choose={(name) => setParam({ queue: name })} />
        </Card>
        {queue && (
          <div class="halves">
            {may("send") && <Send key={`send ${queue}`} queue={queue} draft={draft} setDraft={setDraft} />}
            {may("receive") && <Receive queue={queue} held={held} setHeld={setHeld} />}
            {may("receive") && <Stream key={`stream ${queue}`} queue={queue} />}
          </div>
        )}
      </div>
    </>
  );
}

/** A name counts when it is whole: at Enter, or when one goes on to another field. */
function QueueField({ queue, choose }: { queue: string; choose: (name: string) => void }) {
  const [typed, setTyped] = useState(queue);
  const take = () => {
    if (typed.trim() !== queue) choose(typed.trim());
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        take();
      }}
    >
      <TextField
        label="Queue"
        mono
        value={typed}
        onValue={setTyped}
        onBlur={take}
        placeholder="orders"
        hint="Messages that are received here are taken from your consumers, until they are settled or their lease ends."
      />
    </form>
  );
}

function Send({
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

function Receive({
  queue,
  held,
  setHeld,
}: {
  queue: string;
  held: readonly Held[];
  setHeld: (change: (old: Held[]) => Held[]) => void;
}) {
  return (
    <Card title="Receive">
      <ReceiveForm key={queue} queue={queue} got={(received) => setHeld((old) => [...received, ...old])} />
      <ul class="lines">
        {held.map((one) => (
          <HeldMessage
            key={one.message.receipt}
            held={one}
            gone={() => setHeld((old) => old.filter((other) => other !== one))}
          />
        ))}
      </ul>
    </Card>
  );
}

function ReceiveForm({ queue, got }: { queue: string; got: (received: Held[]) => void }) {
  const [most, setMost] = useState("1");
  const [wait, setWait] = useState("10");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const [nothing, setNothing] = useState(false);
  // What comes for a client that has left is given back: nobody would see it here.
  const left = useRef(new AbortController());
  useEffect(() => () => left.current.abort(), []);
  const body = { max_messages: Number(most), wait: Number(wait) };
  const receive = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    setNothing(false);
    const params = { path: { queue } };
    const { signal } = left.current;
    await answer(api.POST("/v1/queues/{queue}/messages/receive", { params, body, signal, parseAs: "text" }))
      .then((text) => {
        const received = allHeldFrom(text as unknown as string);
        got(received);
        setNothing(received.length === 0);
      })
      .catch(setError);
    setBusy(false);
  };
  return (
    <form class="stack" onSubmit={receive}>
      <div class="columns">
        <TextField label="Messages at most" type="number" value={most} onValue={setMost} />
        <TextField
          label="Wait, s"
          type="number"
          value={wait}
          onValue={setWait}
          hint="Up to 15 here, 60 in the API"
        />
      </div>
      <CodeBox text={curl("POST", `/v1/queues/${queue}/messages/receive`, JSON.stringify(body))} />
      <Button type="submit" kind="primary" busy={busy} disabled={!(Number(wait) <= 15)}>
        {busy ? "Waiting …" : "Receive"}
      </Button>
      {error && <ProblemNote error={error} />}
      {nothing && <p class="quiet">Nothing came within {wait} s.</p>}
    </form>
  );
}

/** A message that this page holds, and what can be done with its receipt. */
function HeldMessage({ held: { message, text }, gone }: { held: Held; gone: () => void }) {
  const [error, setError] = useState<Error | null>(null);
  const [until, setUntil] = useState(message.lease_expires_at);
  const path = `/v1/receipts/${message.receipt}`;
  const params = { path: { receipt: message.receipt } };
  const settle = (asked: Promise<unknown>) => asked.then(gone).catch(setError);
  return (
    <li class="held">
      <div class="line">
        <div class="line-text">
          <span class="mono clip">{text}</span>
          <span class="faint">
            receive {message.receive_count}, lease ends <Ago time={until} />
          </span>
        </div>
      </div>
      <div class="actions">
        <Button
          kind="primary"
          onClick={() => settle(answer(api.DELETE("/v1/receipts/{receipt}", { params })))}
        >
          Delete
        </Button>
        <Button
          onClick={() =>
            answer(api.PATCH("/v1/receipts/{receipt}", { params, body: { visibility_timeout: 60 } }))
              .then(({ lease_expires_at }) => setUntil(lease_expires_at))
              .catch(setError)
          }
        >
          Extend 60 s
        </Button>
        <Button
          onClick={() => settle(answer(api.POST("/v1/receipts/{receipt}/release", { params, body: {} })))}
        >
          Release
        </Button>
        <Button
          onClick={() =>
            settle(
              answer(
                api.POST("/v1/receipts/{receipt}/reject", {
                  params,
                  body: { error: "rejected in the playground" },
                }),
              ),
            )
          }
        >
          Reject
        </Button>
      </div>
      <details>
        <summary>As curl</summary>
        <div class="stack tight">
          <CodeBox text={curl("DELETE", path)} label="Copy the delete" />
          <CodeBox text={curl("PATCH", path, '{"visibility_timeout": 60}')} label="Copy the extend" />
          <CodeBox text={curl("POST", `${path}/release`)} label="Copy the release" />
          <CodeBox text={curl("POST", `${path}/reject`, '{"error": "why"}')} label="Copy the reject" />
        </div>
      </details>
      {error && <ProblemNote error={error} />}
    </li>
  );
}
