import type { ComponentChildren } from "preact";

export function Card({
  title,
  children,
  action,
  label,
}: {
  title?: ComponentChildren;
  children: ComponentChildren;
  action?: ComponentChildren;
  label?: string;
}) {
  return (
    <section class="card" aria-label={label ?? (typeof title === "string" ? title : undefined)}>
      {title && (
        <header class="card-head">
          <h2>{title}</h2>
          {action}
        </header>
      )}
      {children}
    </section>
  );
}

/** A labelled number. */
export function Figure({
  name,
  children,
  tone,
  title,
}: {
  name: string;
  children: ComponentChildren;
  tone?: string;
  title?: string;
}) {
  return (
    <div class={`figure ${tone ?? ""}`} title={title}>
      <span class="name">{name}</span>
      <span class="value">{children}</span>
    </div>
  );
}
