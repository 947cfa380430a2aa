import { useEffect, useState } from "preact/hooks";

/** Return the typed text after a short pause in typing, because requests for each key could overtake each other. */
export function useDebounced(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), 150);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}
