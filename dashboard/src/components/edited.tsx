import { useState } from "preact/hooks";
import { ProblemError, type Tagged } from "../api/client";

/** Something that a form changes, as it was when the form was opened, and how to read it anew. */
export interface Editing<T> {
  seen: Tagged<T>;
  read: () => Promise<Tagged<T>>;
}

/**
 * What a form changes; undefined: something new. If somebody else has changed it by the time it is saved, it is read
 * again, so that the next save holds against what is there now. `before`: what it was until then.
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

/** A field, as it is now and as it is to be, or as it was and as it is now. */
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

/** What somebody else has changed while this form was open. */
export function ChangedElsewhere({ changes }: { changes: readonly Change[] }) {
  return (
    <section aria-label="Changed elsewhere">
      <h3>Changed elsewhere meanwhile</h3>
      <Changes changes={changes} />
      <p class="hint">What you have typed is kept. Look at it once more, and save again.</p>
    </section>
  );
}
