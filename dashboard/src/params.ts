/** Filters in the URL's query. */

import { useSearchParams } from "wouter-preact";

/** Return a getter for the parameters, and a function that changes some of them and drops empty ones. */
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
