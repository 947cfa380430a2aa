import type { ComponentChildren } from "preact";
import { CodeBox } from "./copy";

/** Nothing here, why, and how to change that. */
export function Empty({
  title,
  children,
  curl,
}: {
  title: string;
  children?: ComponentChildren;
  curl?: string;
}) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children && <div class="prose">{children}</div>}
      {curl && <CodeBox text={curl} label="Copy the command" />}
    </div>
  );
}

/** Grey bars where rows will be. */
export function Loading({ rows = 5 }: { rows?: number }) {
  return (
    <div class="loading" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => (
        <span key={row} />
      ))}
    </div>
  );
}

const TONES: Record<string, string> = {
  ready: "blue",
  leased: "amber",
  delayed: "violet",
  active: "green",
  succeeded: "green",
  done: "green",
  running: "blue",
  paused: "amber",
  circuit_open: "red",
  failed: "red",
  blocked: "red",
  disabled: "grey",
  cancelled: "grey",
};

/** A word for a state; its colour says nothing that the word does not. */
export function Badge({ state, children }: { state: string; children?: ComponentChildren }) {
  return <span class={`badge ${TONES[state] ?? "grey"}`}>{children ?? state.replaceAll("_", " ")}</span>;
}
