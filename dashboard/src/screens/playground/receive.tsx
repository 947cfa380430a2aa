import { useEffect, useRef, useState } from "preact/hooks";
import { answer, api } from "../../api/client";
import { Button } from "../../components/controls/button";
import { TextField } from "../../components/forms/field";
import { Card } from "../../components/page/card";
import { ProblemNote } from "../../components/states/problem";
import { CodeBox } from "../../components/text/copy";
import { curl } from "../../curl";
import { HeldMessage } from "./held";
import { allHeldFrom, type Held } from "./received";

export function Receive({
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
  // Abort the request when the user leaves, so that the service releases messages that would not be shown.
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
        <TextField label="Maximum messages" type="number" value={most} onValue={setMost} />
        <TextField
          label="Wait (s)"
          type="number"
          value={wait}
          onValue={setWait}
          hint="Up to 15 here, 60 in the API"
        />
      </div>
      <CodeBox text={curl("POST", `/v1/queues/${queue}/messages/receive`, JSON.stringify(body))} />
      <Button type="submit" kind="primary" busy={busy} disabled={!(Number(wait) <= 15)}>
        {busy ? "Waiting…" : "Receive"}
      </Button>
      {error && <ProblemNote error={error} />}
      {nothing && <p class="quiet">No messages arrived within {wait} s.</p>}
    </form>
  );
}
