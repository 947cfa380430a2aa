/** Making a queue, and changing its configuration. */

import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { answer, api } from "../api/client";
import type { Queue, QueueFields } from "../api/schema";
import { Button } from "../components/button";
import { FormDialog } from "../components/dialog";
import { Changes, difference } from "../components/edited";
import { AreaField, CheckField, SelectField, TextField } from "../components/field";
import { fieldProblem, ProblemNote } from "../components/problem";
import { say } from "../components/toasts";
import { bytes, duration } from "../format";

/** A configuration as it is typed: everything is text, an empty one stands for null. */
export interface Draft {
  type: "standard" | "fifo";
  visibility_timeout: string;
  delay: string;
  retention: string;
  max_message_bytes: string;
  max_length: string;
  deduplication_window: string;
  deduplicate_by_content: boolean;
  dead_letter_queue: string;
  max_receives: string;
  expired: boolean;
  paused: boolean;
  labels: string;
}

export const NEW: Draft = {
  type: "standard",
  visibility_timeout: "30",
  delay: "0",
  retention: "345600",
  max_message_bytes: "262144",
  max_length: "",
  deduplication_window: "300",
  deduplicate_by_content: false,
  dead_letter_queue: "",
  max_receives: "5",
  expired: false,
  paused: false,
  labels: "",
};

export function draftOf(queue: Queue): Draft {
  return {
    type: queue.type,
    visibility_timeout: String(queue.visibility_timeout),
    delay: String(queue.delay),
    retention: text(queue.retention),
    max_message_bytes: String(queue.max_message_bytes),
    max_length: text(queue.max_length),
    deduplication_window: String(queue.deduplication_window),
    deduplicate_by_content: queue.deduplicate_by_content,
    dead_letter_queue: queue.dead_letter?.queue ?? "",
    max_receives: String(queue.dead_letter?.max_receives ?? 5),
    expired: queue.dead_letter?.expired ?? false,
    paused: queue.paused,
    labels: Object.entries(queue.labels)
      .map(([name, value]) => `${name}: ${value}`)
      .join("\n"),
  };
}

const text = (value: number | null): string => (value === null ? "" : String(value));
const number = (value: string): number => (value.trim() === "" ? Number.NaN : Number(value));
const orNull = (value: string): number | null => (value.trim() === "" ? null : Number(value));

/** Return the configuration that a draft stands for; NaN, which the service refuses with a sentence, for what is no number. */
export function fieldsOf(draft: Draft): QueueFields {
  return {
    type: draft.type,
    visibility_timeout: number(draft.visibility_timeout),
    delay: number(draft.delay),
    retention: orNull(draft.retention),
    max_message_bytes: number(draft.max_message_bytes),
    max_length: orNull(draft.max_length),
    deduplication_window: number(draft.deduplication_window),
    deduplicate_by_content: draft.deduplicate_by_content,
    dead_letter: draft.dead_letter_queue
      ? { queue: draft.dead_letter_queue, max_receives: number(draft.max_receives), expired: draft.expired }
      : null,
    paused: draft.paused,
    labels: labelsOf(draft.labels),
  };
}

/** One `name: value` a line. Blanks belong to them, but for the one after the colon. */
export function labelsOf(lines: string): Record<string, string> {
  const labels: Record<string, string> = Object.create(null);
  for (const line of lines.split("\n")) {
    if (line.trim() === "") continue;
    const [name = "", ...value] = line.split(":");
    labels[name] = value.join(":").replace(/^ /, "");
  }
  return labels;
}

/** Return the configuration that a queue is to have: its own, but for what was typed. */
export function changed(queue: Queue, typed: Partial<Draft>): QueueFields {
  const fields = fieldsOf({ ...draftOf(queue), ...typed });
  // Lines cannot say everything that labels can be.
  return typed.labels === undefined ? { ...fields, labels: queue.labels } : fields;
}

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
            ["fifo", "Fifo: in order within groups"],
          ]}
        />
        <TextField
          label="Visibility timeout, s"
          type="number"
          hint={`Leased for ${seconds(draft.visibility_timeout)}`}
          error={wrong("/visibility_timeout")}
          value={draft.visibility_timeout}
          onValue={(visibility_timeout) => change({ visibility_timeout })}
        />
        <TextField
          label="Delay, s"
          type="number"
          hint={`Hidden at first for ${seconds(draft.delay)}`}
          error={wrong("/delay")}
          value={draft.delay}
          onValue={(delay) => change({ delay })}
        />
        <TextField
          label="Retention, s"
          type="number"
          hint={
            draft.retention.trim() ? `Kept ${seconds(draft.retention)}; empty: for ever` : "Kept for ever"
          }
          error={wrong("/retention")}
          value={draft.retention}
          onValue={(retention) => change({ retention })}
        />
        <TextField
          label="Largest message, bytes"
          type="number"
          hint={bytes(Number(draft.max_message_bytes) || 0)}
          error={wrong("/max_message_bytes")}
          value={draft.max_message_bytes}
          onValue={(max_message_bytes) => change({ max_message_bytes })}
        />
        <TextField
          label="Messages at most"
          type="number"
          hint="Empty: no bound. A send beyond it is refused."
          error={wrong("/max_length")}
          value={draft.max_length}
          onValue={(max_length) => change({ max_length })}
        />
        <TextField
          label="Deduplication window, s"
          type="number"
          hint={seconds(draft.deduplication_window)}
          error={wrong("/deduplication_window")}
          value={draft.deduplication_window}
          onValue={(deduplication_window) => change({ deduplication_window })}
        />
        <TextField
          label="Dead-letter queue"
          mono
          hint="Empty: none"
          error={wrong("/dead_letter/queue") ?? wrong("/dead_letter")}
          value={draft.dead_letter_queue}
          onValue={(dead_letter_queue) => change({ dead_letter_queue })}
        />
        {draft.dead_letter_queue && (
          <TextField
            label="Receives before it moves there"
            type="number"
            error={wrong("/dead_letter/max_receives")}
            value={draft.max_receives}
            onValue={(max_receives) => change({ max_receives })}
          />
        )}
      </div>
      {draft.dead_letter_queue && (
        <CheckField
          label="Move what outlives its retention there, too"
          checked={draft.expired}
          onChecked={(expired) => change({ expired })}
        />
      )}
      <CheckField
        label="Deduplicate by content"
        hint="The same body within the window is stored once."
        checked={draft.deduplicate_by_content}
        onChecked={(deduplicate_by_content) => change({ deduplicate_by_content })}
      />
      <AreaField
        label="Labels"
        rows={3}
        placeholder={"team: payments\nstage: live"}
        hint="One name: value a line"
        error={wrong("/labels")}
        value={draft.labels}
        onValue={(labels) => change({ labels })}
      />
    </div>
  );
}

export function CreateQueue({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [draft, setDraft] = useState(NEW);
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const create = async () => {
    const queue = name.trim();
    const params = { path: { queue }, header: { "If-None-Match": "*" } };
    await answer(api.PUT("/v1/queues/{queue}", { params, body: fieldsOf(draft) }));
    await queries.invalidateQueries({ queryKey: ["queues"] });
    say(`Created ${queue}.`);
    navigate(`/queues/${queue}`);
  };
  return (
    <FormDialog
      title="Create queue"
      action="Create queue"
      ready={name.trim() !== ""}
      run={create}
      onClose={onClose}
      wide
    >
      {(error) => (
        <>
          <TextField
            label="Name"
            mono
            required
            autofocus
            value={name}
            onValue={setName}
            hint="Letters, digits and . _ ~ -, beginning with a letter or digit"
          />
          <details>
            <summary>Settings</summary>
            <QueueFieldset
              draft={draft}
              fresh
              error={error}
              change={(changes) => setDraft((old) => ({ ...old, ...changes }))}
            />
          </details>
        </>
      )}
    </FormDialog>
  );
}

/** The configuration of a queue: what would change is shown before it does. */
export function QueueSettings({ queue, etag, may }: { queue: Queue; etag: string | null; may: boolean }) {
  // Only what was typed: what somebody else changes meanwhile shows in the other fields.
  const [typed, setTyped] = useState<Partial<Draft>>({});
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  // The configuration's tag when one began to type: if it is another by now, saving says so.
  const [began, setBegan] = useState<string | null>(null);
  const queries = useQueryClient();
  const draft = { ...draftOf(queue), ...typed };
  const next = changed(queue, typed);
  const changes = difference(changed(queue, {}), next);
  const tag = began ?? etag;
  const reset = () => {
    setTyped({});
    setBegan(null);
  };
  const save = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await answer(
        // The whole of it: in a PATCH null would stand for the default, and a retention of null means for ever.
        api.PUT("/v1/queues/{queue}", {
          params: { path: { queue: queue.name }, header: tag ? { "If-Match": tag } : {} },
          body: next,
        }),
      );
      await queries.invalidateQueries({ queryKey: ["queues"] });
      say("Saved.");
      reset();
    } catch (raised) {
      await queries.invalidateQueries({ queryKey: ["queues"] });
      setBegan(null);
      setError(raised as Error);
    }
    setBusy(false);
  };
  return (
    <form class="card stack" onSubmit={save} aria-label="Settings">
      <fieldset disabled={!may || busy}>
        <QueueFieldset
          draft={draft}
          fresh={false}
          error={error}
          change={(some) => {
            setBegan(tag);
            setTyped((old) => ({ ...old, ...some }));
          }}
        />
      </fieldset>
      {changes.length > 0 && (
        <section aria-label="What changes">
          <h3>What changes</h3>
          <Changes changes={changes} />
          <p class="hint">Applies to messages sent from now on; paused, dead_letter and retention to all.</p>
        </section>
      )}
      {error && <ProblemNote error={error} />}
      {may && (
        <footer class="actions">
          <Button disabled={changes.length === 0} onClick={reset}>
            Undo
          </Button>
          <Button type="submit" kind="primary" busy={busy} disabled={changes.length === 0}>
            Save {changes.length > 0 && `${changes.length} change${changes.length === 1 ? "" : "s"}`}
          </Button>
        </footer>
      )}
    </form>
  );
}
