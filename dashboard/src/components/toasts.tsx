/** Short words about what was done, in a corner; read out by screen readers. */

import { useSyncExternalStore } from "preact/compat";
import { Icon } from "./icon";

interface Toast {
  id: number;
  text: string;
}

let toasts: readonly Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();

function change(now: readonly Toast[]): void {
  toasts = now;
  for (const listener of listeners) listener();
}

export function say(text: string): void {
  const toast = { id: next++, text };
  change([...toasts.slice(-2), toast]);
  setTimeout(() => change(toasts.filter((other) => other.id !== toast.id)), 5000);
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <div class="toasts" role="status" aria-live="polite">
      {shown.map((toast) => (
        <p key={toast.id} class="toast">
          <Icon name="done" /> {toast.text}
        </p>
      ))}
    </div>
  );
}
