import { useState } from "preact/hooks";

export interface Action {
  busy: boolean;
  error: Error | null;
  run: () => Promise<void>;
}

/** Run an action for a button: one call at a time. An error stays until the button is pressed again. */
export function useAction(act: () => Promise<unknown>): Action {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const run = async () => {
    setBusy(true);
    setError(null);
    await act().catch(setError);
    setBusy(false);
  };
  return { busy, error, run };
}
