/** The filter and scroll position of each list, restored when the user goes back to it. */

import { useLayoutEffect } from "preact/hooks";
import { useRouter } from "wouter-preact";

interface Place {
  search: string;
  top: number;
}

/** Keyed by the list's path. */
const places = new Map<string, Place>();
let returning = false;

/** Restore the position of the list that is shown next. */
export function comeBack(): void {
  returning = true;
}

/** Return a link to a list, with the filter that it had. */
export function useKeptView(href: string): string {
  const { base } = useRouter();
  return href + (places.get(base + href)?.search ?? "");
}

/** Remember the position of the list that is shown, and restore it when the user comes back and the rows are there. */
export function useKeptPlace(ready: boolean): void {
  useLayoutEffect(() => {
    if (!ready) return;
    const { pathname, search } = location;
    const kept = places.get(pathname);
    if (returning && kept?.search === search) scrollTo(0, kept.top);
    returning = false;
    const keep = () => {
      // A page may still scroll after the user has left it.
      if (location.pathname === pathname) places.set(pathname, { search: location.search, top: scrollY });
    };
    keep();
    addEventListener("scroll", keep, { passive: true });
    addEventListener("click", keep, { capture: true });
    return () => {
      removeEventListener("scroll", keep);
      removeEventListener("click", keep, { capture: true });
    };
  }, [ready]);
}
