import type { ComponentChildren } from "preact";

/** Preformatted text in a box that scrolls: with the keyboard too, so it takes the focus. */
export function Scroll({ class: name, children }: { class: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached
    <pre class={name} tabIndex={0}>
      {children}
    </pre>
  );
}
