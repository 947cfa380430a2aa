import { AreaField, SelectField, TextField } from "../../components/forms/field";
import { fieldProblem } from "../../components/states/problem";
import { converted, jsonFault, type MessageDraft, textIn } from "./draft";

const BYTES = ["base64", "Bytes (base64)"] as const;

export function MessageFields({
  draft,
  change,
  error,
  fifo,
}: {
  draft: MessageDraft;
  change: (changes: Partial<MessageDraft>) => void;
  error: Error | null;
  fifo?: boolean;
}) {
  const failure = draft.kind === "json" ? jsonFault(draft.body) : null;
  const bytesAlone = draft.kind === "base64" && textIn(draft.body) === null;
  return (
    <div class="stack">
      <SelectField
        label="Body format"
        value={draft.kind}
        hint={bytesAlone && "These bytes are not valid text."}
        onValue={(kind) => change(converted(draft, kind))}
        options={bytesAlone ? [BYTES] : [["json", "JSON"], ["text", "Text"], BYTES]}
      />
      <AreaField
        label="Body"
        rows={8}
        value={draft.body}
        error={failure ?? fieldProblem(error, "/body") ?? fieldProblem(error, "/body_base64")}
        onValue={(body) => change({ body })}
      />
      <AreaField
        label="Headers"
        rows={2}
        placeholder="source: shop"
        hint="One “name: value” per line"
        error={fieldProblem(error, "/headers")}
        value={draft.headers}
        onValue={(headers) => change({ headers })}
      />
      <details>
        <summary>Delay, group, priority…</summary>
        <div class="columns">
          <TextField
            label="Delay (s)"
            type="number"
            value={draft.delay}
            error={fieldProblem(error, "/delay")}
            onValue={(delay) => change({ delay })}
          />
          <TextField
            label="Time to live (s)"
            type="number"
            value={draft.ttl}
            error={fieldProblem(error, "/ttl")}
            onValue={(ttl) => change({ ttl })}
          />
          {!fifo && (
            <TextField
              label="Priority (0 to 9)"
              type="number"
              value={draft.priority}
              error={fieldProblem(error, "/priority")}
              onValue={(priority) => change({ priority })}
            />
          )}
          <TextField
            label="Group"
            mono
            value={draft.group}
            error={fieldProblem(error, "/group")}
            onValue={(group) => change({ group })}
          />
          <TextField
            label="Deduplication id"
            mono
            value={draft.deduplicationId}
            error={fieldProblem(error, "/deduplication_id")}
            onValue={(deduplicationId) => change({ deduplicationId })}
          />
          <TextField
            label="Content type"
            mono
            value={draft.contentType}
            error={fieldProblem(error, "/content_type")}
            onValue={(contentType) => change({ contentType })}
          />
        </div>
      </details>
    </div>
  );
}
