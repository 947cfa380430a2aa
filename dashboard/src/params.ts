/** Filters in the URL's query. */

import { useSearchParams } from "wouter-preact";

/** Return the parameters, and how to change some of them; empty ones are left out. Replaces the entry in the history. */
export function useParams<Name extends string>(): [
  (name: Name) => string,
  (changes: Partial<Record<Name, string>>) => void,
] {
  const [params, setParams] = useSearchParams();
  const change = (changes: Partial<Record<Name, string>>) =>
    setParams(
      (old) => {
        const next = new URLSearchParams(old);
        for (const [name, value] of Object.entries<string | undefined>(changes)) {
          if (value) next.set(name, value);
          else next.delete(name);
        }
        return next;
      },
      { replace: true },
    );
  return [(name) => params.get(name) ?? "", change];
}
