import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Link } from "wouter-preact";

/** Return a ref for a row of links that may be wider than the screen, to keep the current link in view. */
export function useCurrentInSight<T extends HTMLElement>(current: string): RefObject<T> {
  const row = useRef<T>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the current link changes
  useEffect(() => {
    const link = row.current?.querySelector("[aria-current]");
    // Scroll sideways only, so that the page does not move. Either the row or its parent scrolls.
    for (const scroller of link ? [row.current, row.current?.parentElement] : [])
      if (link && scroller) scroller.scrollLeft += middle(link) - middle(scroller);
  }, [current]);
  return row;
}

function middle(element: Element): number {
  const { left, right } = element.getBoundingClientRect();
  return (left + right) / 2;
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
