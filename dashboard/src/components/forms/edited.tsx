import { useState } from "preact/hooks";
import { ProblemError, type Tagged } from "../../api/client";

/** The resource that a form edits, as it was when the form was opened, and how to read it again. */
export interface Editing<T> {
  seen: Tagged<T>;
  read: () => Promise<Tagged<T>>;
}

/**
 * Keep the state of what a form edits; undefined for something new. If it was changed elsewhere before it is saved, it is
 * read again, so that the next save applies to the current version. `before` is the version that was replaced.
 */
export function useEdited<T>(editing: Editing<T> | undefined) {
  const [seen, setSeen] = useState(editing?.seen);
  const [before, setBefore] = useState<T>();
  const save = async <A,>(written: Promise<A>): Promise<A> => {
    try {
      return await written;
    } catch (error) {
      if (seen && editing && error instanceof ProblemError && error.problem.status === 412) {
        setSeen(await editing.read());
        setBefore(seen.found);
      }
      throw error;
    }
  };
  return { now: seen?.found, etag: seen?.etag ?? null, before, save };
}

/** The name of a field, its old value and its new value. */
export type Change = [string, string, string];

/** Return the fields that differ. */
export function difference<T extends object>(now: T, next: T): Change[] {
  return (Object.keys(next) as (keyof T & string)[])
    .map((name): Change => [name, JSON.stringify(now[name]), JSON.stringify(next[name])])
    .filter(([, before, after]) => before !== after);
}

export function Changes({ changes }: { changes: readonly Change[] }) {
  return (
    <dl class="difference">
      {changes.map(([name, before, after]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <del>{before}</del> → <ins>{after}</ins>
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** The changes that were made elsewhere while this form was open. */
export function ChangedElsewhere({ changes }: { changes: readonly Change[] }) {
  return (
    <section aria-label="Changed elsewhere">
      <h3>Changed elsewhere in the meantime</h3>
      <Changes changes={changes} />
      <p class="hint">Your changes are kept. Review them and save again.</p>
    </section>
  );
}
