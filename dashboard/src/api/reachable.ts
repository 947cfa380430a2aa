/** Whether the service has answered lately. */

import { useSyncExternalStore } from "preact/compat";

let reachable = true;
const listeners = new Set<() => void>();

function change(now: boolean): void {
  if (now === reachable) return;
  reachable = now;
  for (const listener of listeners) listener();
}

export const answered = (): void => change(true);
export const unanswered = (): void => change(false);

export function useReachable(): boolean {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => reachable,
  );
}
