/** Short notes in a corner about completed actions, also read by screen readers. */

import { cell } from "../../cell";
import { Icon } from "../controls/icon";

interface Toast {
  id: number;
  text: string;
}

const toasts = cell<readonly Toast[]>([]);
let next = 1;

export function notify(text: string): void {
  const toast = { id: next++, text };
  toasts.set([...toasts.get().slice(-2), toast]);
  setTimeout(() => toasts.set(toasts.get().filter((other) => other.id !== toast.id)), 5000);
}

export function Toasts() {
  const shown = toasts.use();
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
