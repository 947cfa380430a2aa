import { useLayoutEffect, useState } from "preact/hooks";

export interface Selection {
  /** The visible rows that are ticked. */
  names: readonly string[];
  has: (name: string) => boolean;
  toggle: (name: string) => void;
  set: (names: readonly string[]) => void;
  /** Untick the rows that an action has handled, except those it was refused for. */
  settle: (names: readonly string[], refused: ReadonlyMap<string, unknown>) => void;
}

/** Keep track of the ticked rows of a list. Rows that are not shown, or belong to another `view`, are unticked. */
export function useSelection(shown: readonly string[], view: string): Selection {
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set());
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the view changes
  useLayoutEffect(() => setTicked(new Set()), [view]);
  return {
    names: shown.filter((name) => ticked.has(name)),
    has: (name) => ticked.has(name),
    toggle: (name) => setTicked((old) => toggled(old, name)),
    set: (names) => setTicked(new Set(names)),
    settle: (names, refused) =>
      setTicked((old) => new Set([...old].filter((name) => !names.includes(name) || refused.has(name)))),
  };
}

/** Return the set with the member added, or removed if it was there. */
export function toggled(set: ReadonlySet<string>, member: string): ReadonlySet<string> {
  const next = new Set(set);
  if (!next.delete(member)) next.add(member);
  return next;
}
