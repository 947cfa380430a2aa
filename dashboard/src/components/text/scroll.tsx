import type { ComponentChildren } from "preact";

/** Preformatted text in a scrolling box. It can take the focus, so that it scrolls with the keyboard too. */
export function Scroll({ class: name, children }: { class: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling box has to be reachable by keyboard
    <pre class={name} tabIndex={0}>
      {children}
    </pre>
  );
}
