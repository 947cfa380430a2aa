import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { ProblemError } from "../api/client";
import { plural } from "../format";
import { currentSession, stillIn } from "../session";
import { Button, IconButton } from "./button";
import { Confirm } from "./dialog";
import type { IconName } from "./icon";
import { ProblemNote } from "./problem";

export interface BulkAction {
  name: string;
  icon?: IconName;
  /** Asked about first. */
  danger?: boolean;
  about?: ComponentChildren;
  /** To be typed before it is done. */
  typed?: string;
  run: () => Promise<unknown>;
}

/**
 * Do something with each, whatever becomes of the others; return how many are done, and those that were refused. What is
 * gone is done. Ends where it is when one goes to another project: the rest would be done to what has the same names there.
 */
export async function eachWhileHere(
  names: readonly string[],
  one: (name: string) => Promise<unknown>,
): Promise<{ done: number; refused: Map<string, Error> }> {
  const refused = new Map<string, Error>();
  let asked = 0;
  const session = currentSession();
  for (const name of names) {
    if (!stillIn(session)) break;
    asked++;
    await one(name).catch((error) => {
      if (!(error instanceof ProblemError && error.problem.status === 404)) refused.set(name, error);
    });
  }
  return { done: asked - refused.size, refused };
}

/** Raise the first of the problems, if there is one. */
export function throwFirst(refused: ReadonlyMap<string, Error>): void {
  for (const error of refused.values()) throw error;
}

/** What can be done with all that is selected, at the foot of the window. */
export function BulkBar({
  count,
  noun,
  actions,
  clear,
}: {
  count: number;
  noun: string;
  actions: readonly BulkAction[];
  clear: () => void;
}) {
  // By its name: what it does changes with what is selected, for instance when some were refused.
  const [name, setName] = useState<string | null>(null);
  const asked = actions.find((action) => action.name === name);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const run = async (action: BulkAction) => {
    if (action.danger) return setName(action.name);
    setBusy(true);
    setError(null);
    await action.run().catch(setError);
    setBusy(false);
  };
  return (
    <section class="bulk" aria-label="Selection">
      {error && <ProblemNote error={error} />}
      <div class="bulk-row">
        <strong>{plural(count, noun)}</strong>
        {actions.map((action) => (
          <Button
            key={action.name}
            busy={busy}
            kind={action.danger ? "danger" : "plain"}
            {...(action.icon && { icon: action.icon })}
            onClick={() => run(action)}
          >
            {action.name}
          </Button>
        ))}
        <IconButton label="Clear the selection" icon="close" onClick={clear} />
      </div>
      {asked && (
        <Confirm
          title={`${asked.name} ${plural(count, noun)}`}
          action={`${asked.name} ${plural(count, noun)}`}
          run={asked.run}
          {...(asked.typed && { typed: asked.typed })}
          onClose={() => setName(null)}
        >
          {asked.about}
        </Confirm>
      )}
    </section>
  );
}
