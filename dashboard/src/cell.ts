import { useSyncExternalStore } from "preact/compat";

/** A global value outside of any component. Components that use it are rendered again when it is set. */
export interface Cell<T> {
  get: () => T;
  set: (next: T) => void;
  use: () => T;
}

export function cell<T>(initial: T): Cell<T> {
  let value = initial;
  const listeners = new Set<() => void>();
  const get = () => value;
  const subscribe = (listener: () => void) => {
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  };
  return {
    get,
    set: (next) => {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of listeners) listener();
    },
    use: () => useSyncExternalStore(subscribe, get),
  };
}
