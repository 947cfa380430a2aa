import { useLayoutEffect, useState } from "preact/hooks";

export interface Selection {
  /** What is ticked of what is shown. */
  names: readonly string[];
  has: (name: string) => boolean;
  toggle: (name: string) => void;
  set: (names: readonly string[]) => void;
  /** Something was done with some: of those only the refused stay ticked. */
  settle: (names: readonly string[], refused: ReadonlyMap<string, unknown>) => void;
}

/** Which rows of a list are ticked. What is not shown is not: neither what has gone, nor what another `view` had. */
export function useSelection(shown: readonly string[], view: string): Selection {
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set());
  // biome-ignore lint/correctness/useExhaustiveDependencies: when others are shown
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

/** The set with this member if it had none, and without it if it had. */
export function toggled(set: ReadonlySet<string>, member: string): ReadonlySet<string> {
  const next = new Set(set);
  if (!next.delete(member)) next.add(member);
  return next;
}
