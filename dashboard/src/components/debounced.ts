import { useEffect, useState } from "preact/hooks";

/** What was typed, once nothing more has been for a moment: a request for each key would only overtake the others. */
export function useDebounced(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), 150);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}
