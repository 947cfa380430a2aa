import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answer, api } from "../../api/client";
import type { Queue } from "../../api/schema";
import { Button } from "../../components/controls/button";
import { Changes, difference } from "../../components/forms/edited";
import { ProblemNote } from "../../components/states/problem";
import { notify } from "../../components/states/toasts";
import { changed, type Draft, draftOf } from "./draft";
import { QueueFieldset } from "./fieldset";

/** The configuration of a queue. Changes are shown before they are saved. */
export function QueueSettings({ queue, etag, may }: { queue: Queue; etag: string | null; may: boolean }) {
  // Only the edited fields. The others show the current values, including changes made elsewhere.
  const [typed, setTyped] = useState<Partial<Draft>>({});
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  // The ETag of the configuration when editing began. If it has changed, saving fails.
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
        // Send the whole configuration: in a PATCH, null means the default, but here a null retention means forever.
        api.PUT("/v1/queues/{queue}", {
          params: { path: { queue: queue.name }, header: tag ? { "If-Match": tag } : {} },
          body: next,
        }),
      );
      await queries.invalidateQueries({ queryKey: ["queues"] });
      notify("Saved.");
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
        <section aria-label="Changes to save">
          <h3>Changes to save</h3>
          <Changes changes={changes} />
          <p class="hint">
            Applies to messages sent from now on. Changes to paused, dead_letter and retention apply to all
            messages.
          </p>
        </section>
      )}
      {error && <ProblemNote error={error} />}
      {may && (
        <footer class="actions">
          <Button disabled={changes.length === 0} onClick={reset}>
            Discard
          </Button>
          <Button type="submit" kind="primary" busy={busy} disabled={changes.length === 0}>
            Save {changes.length > 0 && `${changes.length} change${changes.length === 1 ? "" : "s"}`}
          </Button>
        </footer>
      )}
    </form>
  );
}
