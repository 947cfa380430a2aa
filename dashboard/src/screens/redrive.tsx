import { useState } from "preact/hooks";
import { answer, api } from "../api/client";
import { FormDialog } from "../components/dialog";
import { TextField } from "../components/field";
import { fieldProblem } from "../components/problem";
import { count, duration, plural } from "../format";
import { TaskDialog } from "./task-progress";

/** Dead letters back to where they came from, as fast as one dares. */
export function Redrive({ queue, total, onClose }: { queue: string; total: number; onClose: () => void }) {
  const [to, setTo] = useState("");
  const [rate, setRate] = useState("");
  const [most, setMost] = useState("");
  const [task, setTask] = useState<string | null>(null);
  const moved = most.trim() ? Math.min(total, Number(most)) : total;
  const start = async () => {
    const body = { to: to.trim() || null, max_messages: numberOrNull(most), rate: numberOrNull(rate) };
    setTask((await answer(api.POST("/v1/queues/{queue}/redrive", { params: { path: { queue } }, body }))).id);
  };
  const title = `Redrive ${queue}`;
  if (task !== null) return <TaskDialog title={title} id={task} onClose={onClose} />;
  return (
    <FormDialog
      title={title}
      action={moved > 0 ? `Redrive ${plural(moved, "message")}` : "Redrive"}
      ready={moved > 0}
      run={start}
      stays
      onClose={onClose}
    >
      {(error) => (
        <>
          <p>
            {moved < total && `${count(moved)} of `}
            {plural(total, "message")} of <strong class="mono">{queue}</strong> go back and start at no
            receives. Those that a consumer holds stay.
          </p>
          <TextField
            label="Messages a second"
            type="number"
            value={rate}
            onValue={setRate}
            error={fieldProblem(error, "/rate")}
            hint={Number(rate) > 0 ? `Takes about ${duration(moved / Number(rate))}` : "Empty: at full speed"}
          />
          <TextField
            label="At most"
            type="number"
            value={most}
            onValue={setMost}
            error={fieldProblem(error, "/max_messages")}
            hint="Empty: all that are there now"
          />
          <TextField
            label="To the queue"
            mono
            value={to}
            onValue={setTo}
            error={fieldProblem(error, "/to")}
            hint="Empty: each to the queue it came from"
          />
        </>
      )}
    </FormDialog>
  );
}

const numberOrNull = (text: string): number | null => (text.trim() ? Number(text) : null);
