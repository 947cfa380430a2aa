import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Link } from "wouter-preact";
import { Icon } from "./icon";
import { ProblemNote } from "./problem";

/** A screen's head: its name, which is the window's too, and what can be done with the whole of it. */
export function PageHead({
  title,
  children,
  up,
  about,
  mono = false,
}: {
  title: string;
  children?: ComponentChildren;
  up?: { href: string; name: string };
  about?: ComponentChildren;
  mono?: boolean;
}) {
  useEffect(() => {
    document.title = `${title} · Restante`;
  }, [title]);
  return (
    <header class="page-head">
      <div class="page-title">
        {up && (
          <Link class="up" href={up.href}>
            <Icon name="left" /> {up.name}
          </Link>
        )}
        <h1 class={mono ? "mono clip" : "clip"} title={title}>
          {title}
        </h1>
        {about && <div class="about">{about}</div>}
      </div>
      {children && <div class="actions">{children}</div>}
    </header>
  );
}

/** Why what was pressed in a screen's head was not done, below it. */
export function ActionProblem({ error }: { error: Error | null }) {
  if (!error) return null;
  return (
    <div class="below">
      <ProblemNote error={error} />
    </div>
  );
}

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

/** A number with its name. */
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

/** A row of links that is wider than a narrow screen: when something else is `current`, it is brought into sight. */
export function useCurrentInSight<T extends HTMLElement>(current: string): RefObject<T> {
  const row = useRef<T>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: when another one is the current one
  useEffect(() => {
    row.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [current]);
  return row;
}

export function Tabs({
  base,
  tabs,
  current,
}: {
  base: string;
  tabs: readonly (readonly [string, string])[];
  current: string;
}) {
  const list = useCurrentInSight<HTMLElement>(current);
  return (
    <nav ref={list} class="tabs" aria-label="Parts">
      {tabs.map(([tab, name]) => (
        <Link
          key={tab}
          href={tab ? `${base}/${tab}` : base}
          aria-current={tab === current ? "page" : undefined}
        >
          {name}
        </Link>
      ))}
    </nav>
  );
}
