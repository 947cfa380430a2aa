import type { ComponentChildren } from "preact";
import { CodeBox } from "../text/copy";

/** An empty state: what is missing, why, and how to change that. */
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
