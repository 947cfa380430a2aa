import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { ProblemError } from "../../api/client";
import { plural } from "../../format";
import { currentSession, stillIn } from "../../session";
import { Button, IconButton } from "../controls/button";
import type { IconName } from "../controls/icon";
import { Confirm } from "../forms/dialog";
import { ProblemNote } from "../states/problem";

export interface BulkAction {
  name: string;
  icon?: IconName;
  /** Asks for confirmation. */
  danger?: boolean;
  about?: ComponentChildren;
  /** The text that the user has to type to confirm. */
  typed?: string;
  run: () => Promise<unknown>;
}

/**
 * Call `one` for each name, even if some calls fail. Return how many succeeded, and the errors of the others. A 404 counts
 * as success. Stops if the user switches to another project, where the same names mean other things.
 */
export async function forEachInSession(
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

/** Throw the first of the errors, if there is one. */
export function throwFirst(refused: ReadonlyMap<string, Error>): void {
  for (const error of refused.values()) throw error;
}

/** The actions on the selected rows, at the bottom of the window. */
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
  // Kept by name, because the action's closure changes with the selection, for example when some items were refused.
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
