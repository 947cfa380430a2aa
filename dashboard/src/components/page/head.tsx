import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { Link } from "wouter-preact";
import { Icon } from "../controls/icon";
import { ProblemNote } from "../states/problem";
import { comeBack, useKeptView } from "./place";

/** The head of a screen: its title, which is also the window's, and the actions on the whole screen. */
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
        {up && <Up {...up} />}
        <h1 class={mono ? "mono clip" : "clip"} title={title}>
          {title}
        </h1>
        {about && <div class="about">{about}</div>}
      </div>
      {children && <div class="actions">{children}</div>}
    </header>
  );
}

/** The link back to the list, with the filter and scroll position that the list had. */
function Up({ href, name }: { href: string; name: string }) {
  return (
    <Link class="up" href={useKeptView(href)} onClick={comeBack}>
      <Icon name="left" /> <span class="clip">{name}</span>
    </Link>
  );
}

/** The error of an action in a screen's head, shown below the head. */
export function ActionProblem({ error }: { error: Error | null }) {
  if (!error) return null;
  return (
    <div class="below">
      <ProblemNote error={error} />
    </div>
  );
}
