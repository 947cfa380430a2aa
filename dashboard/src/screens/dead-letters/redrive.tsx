import { useState } from "preact/hooks";
import { answer, api } from "../../api/client";
import { TextField } from "../../components/forms/field";
import { fieldProblem } from "../../components/states/problem";
import { count, plural } from "../../format";
import { numberOrNull, RateField, TaskForm } from "../tasks";

/** The dialog that redrives dead letters at a chosen rate. */
export function Redrive({ queue, total, onClose }: { queue: string; total: number; onClose: () => void }) {
  const [to, setTo] = useState("");
  const [rate, setRate] = useState("");
  const [most, setMost] = useState("");
  const moved = most.trim() ? Math.min(total, Number(most)) : total;
  const begin = () => {
    const body = { to: to.trim() || null, max_messages: numberOrNull(most), rate: numberOrNull(rate) };
    return answer(api.POST("/v1/queues/{queue}/redrive", { params: { path: { queue } }, body }));
  };
  return (
    <TaskForm
      title={`Redrive ${queue}`}
      action={moved > 0 ? `Redrive ${plural(moved, "message")}` : "Redrive"}
      ready={moved > 0}
      begin={begin}
      onClose={onClose}
    >
      {(error) => (
        <>
          <p>
            This redrives {moved < total && `${count(moved)} of `}
            {plural(total, "message")} in <strong class="mono">{queue}</strong> and resets their receive
            counts. Leased messages stay.
          </p>
          <RateField rate={rate} onRate={setRate} messages={moved} error={error} />
          <TextField
            label="Maximum messages"
            type="number"
            value={most}
            onValue={setMost}
            error={fieldProblem(error, "/max_messages")}
            hint="Leave empty for all messages in the queue"
          />
          <TextField
            label="Destination queue"
            mono
            value={to}
            onValue={setTo}
            error={fieldProblem(error, "/to")}
            hint="Leave empty to return each message to its source queue"
          />
        </>
      )}
    </TaskForm>
  );
}
