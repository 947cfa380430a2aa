import type { ComponentChildren } from "preact";

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

/** A word for a state. The colour carries no information that the word does not. */
export function Badge({ state, children }: { state: string; children?: ComponentChildren }) {
  return <span class={`badge ${TONES[state] ?? "grey"}`}>{children ?? state.replaceAll("_", " ")}</span>;
}
