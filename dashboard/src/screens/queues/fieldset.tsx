import { AreaField, CheckField, SelectField, TextField } from "../../components/forms/field";
import { fieldProblem } from "../../components/states/problem";
import { bytes, duration } from "../../format";
import type { Draft } from "./draft";

const seconds = (value: string): string => {
  if (value.trim() === "") return "?";
  return Number.isFinite(Number(value)) ? duration(Number(value)) : "not a number";
};

export function QueueFieldset({
  draft,
  change,
  error,
  fresh,
}: {
  draft: Draft;
  change: (changes: Partial<Draft>) => void;
  error: Error | null;
  fresh: boolean;
}) {
  const wrong = (pointer: string) => fieldProblem(error, pointer);
  return (
    <div class="stack">
      <div class="columns">
        <SelectField
          label="Type"
          hint={fresh ? "Cannot be changed later." : "Cannot be changed."}
          value={draft.type}
          disabled={!fresh}
          onValue={(type) => change({ type })}
          options={[
            ["standard", "Standard"],
            ["fifo", "Fifo (in order within groups)"],
          ]}
        />
        <TextField
          label="Visibility timeout (s)"
          type="number"
          hint={`A received message is leased for ${seconds(draft.visibility_timeout)}`}
          error={wrong("/visibility_timeout")}
          value={draft.visibility_timeout}
          onValue={(visibility_timeout) => change({ visibility_timeout })}
        />
        <TextField
          label="Delay (s)"
          type="number"
          hint={`A new message is hidden for ${seconds(draft.delay)}`}
          error={wrong("/delay")}
          value={draft.delay}
          onValue={(delay) => change({ delay })}
        />
        <TextField
          label="Retention (s)"
          type="number"
          hint={
            draft.retention.trim()
              ? `Kept for ${seconds(draft.retention)}; leave empty to keep messages forever`
              : "Kept forever"
          }
          error={wrong("/retention")}
          value={draft.retention}
          onValue={(retention) => change({ retention })}
        />
        <TextField
          label="Maximum size (bytes)"
          type="number"
          hint={bytes(Number(draft.max_message_bytes) || 0)}
          error={wrong("/max_message_bytes")}
          value={draft.max_message_bytes}
          onValue={(max_message_bytes) => change({ max_message_bytes })}
        />
        <TextField
          label="Maximum messages"
          type="number"
          hint="Leave empty for no limit. Sends to a full queue are refused."
          error={wrong("/max_length")}
          value={draft.max_length}
          onValue={(max_length) => change({ max_length })}
        />
        <TextField
          label="Deduplication window (s)"
          type="number"
          hint={seconds(draft.deduplication_window)}
          error={wrong("/deduplication_window")}
          value={draft.deduplication_window}
          onValue={(deduplication_window) => change({ deduplication_window })}
        />
        <TextField
          label="Dead-letter queue"
          mono
          hint="Leave empty for none"
          error={wrong("/dead_letter/queue") ?? wrong("/dead_letter")}
          value={draft.dead_letter_queue}
          onValue={(dead_letter_queue) => change({ dead_letter_queue })}
        />
        {draft.dead_letter_queue && (
          <TextField
            label="Maximum receives"
            type="number"
            error={wrong("/dead_letter/max_receives")}
            value={draft.max_receives}
            onValue={(max_receives) => change({ max_receives })}
          />
        )}
        <TextField
          label="Delete when unused for (s)"
          type="number"
          hint={
            draft.expires_after.trim()
              ? `Deleted with its messages after ${seconds(draft.expires_after)} without a send or receive`
              : "Leave empty to keep the queue"
          }
          error={wrong("/expires_after")}
          value={draft.expires_after}
          onValue={(expires_after) => change({ expires_after })}
        />
      </div>
      {draft.dead_letter_queue && (
        <CheckField
          label="Also dead-letter messages whose retention has ended"
          checked={draft.expired}
          onChecked={(expired) => change({ expired })}
        />
      )}
      <CheckField
        label="Deduplicate by content"
        hint="A body that is sent again within the window is not stored again."
        checked={draft.deduplicate_by_content}
        onChecked={(deduplicate_by_content) => change({ deduplicate_by_content })}
      />
      <AreaField
        label="Labels"
        rows={3}
        placeholder={"team: payments\nstage: live"}
        hint="One “name: value” per line"
        error={wrong("/labels")}
        value={draft.labels}
        onValue={(labels) => change({ labels })}
      />
    </div>
  );
}
