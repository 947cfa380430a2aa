import { useState } from "preact/hooks";
import { useAccess } from "../../access";
import { TextField } from "../../components/forms/field";
import { Card } from "../../components/page/card";
import { PageHead } from "../../components/page/head";
import { useParams } from "../../params";
import { BLANK } from "../messages";
import { Receive } from "./receive";
import type { Held } from "./received";
import { Send } from "./send";
import { Stream } from "./stream";

/** Sends, receives and streams messages by hand, and shows each request as a command. */
export function Playground() {
  const [param, setParam] = useParams<"queue">();
  const { may } = useAccess();
  const queue = param("queue");
  // The draft and the leased messages are kept when the queue changes.
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

/** The name is applied on Enter or when the field loses the focus. */
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
        hint="Consumers do not get messages received here until you release them or their lease ends."
      />
    </form>
  );
}
