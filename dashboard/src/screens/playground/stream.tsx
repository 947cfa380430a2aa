import { useEffect, useRef, useState } from "preact/hooks";
import type { MessageFrame, ReadyFrame, ResultFrame } from "../../api/schema";
import { Button } from "../../components/controls/button";
import { TextField } from "../../components/forms/field";
import { Card } from "../../components/page/card";
import { Badge } from "../../components/states/badge";
import { CodeBox } from "../../components/text/copy";
import { useNow } from "../../components/text/time";
import { asKey } from "../../curl";
import { memberText } from "../../json";
import { currentSession } from "../../session";
import { type Held, heldFrom } from "./received";

type Frame = MessageFrame | ReadyFrame | ResultFrame | { type: "error"; problem: { detail: string } };

/** The queue's WebSocket: credit requests messages, and an ack deletes one. */
export function Stream({ queue }: { queue: string }) {
  const socket = useRef<WebSocket | null>(null);
  const [state, setState] = useState<"closed" | "open" | "opening">("closed");
  const [credit, setCredit] = useState("10");
  const n = credit.trim() === "" ? 1 : Number(credit);
  const [messages, setMessages] = useState<Held[]>([]);
  const [word, setWord] = useState("");
  useEffect(() => () => socket.current?.close(1000), []);
  const send = (frame: object) => socket.current?.send(JSON.stringify(frame));
  const hear = (text: string) => {
    const frame = JSON.parse(text) as Frame;
    if (frame.type === "message") {
      const held = heldFrom(memberText(text, "message") ?? "{}");
      // A redelivered message has a new receipt, and its old one is no longer valid.
      setMessages((old) => [held, ...old.filter(({ message }) => message.id !== held.message.id)]);
    }
    if (frame.type === "ready") {
      setState("open");
      send({ type: "credit", n });
    }
    if (frame.type === "error") setWord(frame.problem.detail);
    if (frame.type === "result" && frame.status !== "ok") setWord(frame.detail ?? frame.status);
    // The ref of an ack is its receipt, so the result says which message was deleted.
    if (frame.type === "result" && frame.status === "ok")
      setMessages((old) => old.filter(({ message }) => message.receipt !== frame.ref));
  };
  const open = () => {
    setWord("");
    setState("opening");
    const made = new WebSocket(address(queue), "restante.v1");
    socket.current = made;
    // Browsers set no headers on a WebSocket, and a key in the URL would end up in logs: the first frame contains it.
    made.onopen = () => made.send(JSON.stringify({ type: "auth", ...currentSession() }));
    made.onmessage = (event) => hear(event.data);
    made.onclose = (event) => {
      setState("closed");
      setMessages([]);
      if (event.code !== 1000) setWord(`Closed by the service: ${event.code} ${event.reason}`);
    };
  };
  // A message whose lease has ended may be delivered to another consumer.
  const now = useNow();
  const held = messages.filter(({ message }) => Date.parse(message.lease_expires_at) > now);
  const ack = ({ message: { receipt } }: Held) => send({ type: "ack", receipt, ref: receipt });
  return (
    <Card title="Stream" action={<Badge state={state === "open" ? "active" : "disabled"}>{state}</Badge>}>
      <div class="stack">
        <TextField
          label="Credit"
          type="number"
          value={credit}
          onValue={setCredit}
          hint="How many messages the service may send before you ask for more. Leave empty for one."
        />
        <CodeBox
          text={`wscat -s restante.v1 ${asKey()} \\\n  -c ${address(queue)}\n{"type": "credit", "n": ${n}}`}
        />
        <div class="actions">
          {state === "closed" ? (
            <Button kind="primary" icon="play" onClick={open}>
              Connect
            </Button>
          ) : (
            <>
              <Button onClick={() => socket.current?.close(1000)}>Close</Button>
              <Button disabled={state !== "open"} onClick={() => send({ type: "credit", n })}>
                More credit
              </Button>
            </>
          )}
        </div>
        {word && (
          <p class="hint error" role="status">
            {word}
          </p>
        )}
        <ul class="lines">
          {held.map((one) => (
            <li key={one.message.receipt} class="line">
              <span class="mono clip line-text">{one.text}</span>
              <Button onClick={() => ack(one)}>Ack</Button>
            </li>
          ))}
        </ul>
      </div>
    </Card>
  );
}

function address(queue: string): string {
  return `${location.origin.replace(/^http/, "ws")}/v1/queues/${queue}/stream`;
}
