/** How one likes it: kept in this browser, and no business of the service. */

import { useSyncExternalStore } from "preact/compat";

export type Theme = "system" | "light" | "dark";
export type Clock = "local" | "utc";

export interface Preferences {
  theme: Theme;
  clock: Clock;
}

const NAME = "restante.preferences";
const listeners = new Set<() => void>();
let preferences: Preferences = stored();

function stored(): Preferences {
  const defaults: Preferences = { theme: "system", clock: "local" };
  try {
    return { ...defaults, ...JSON.parse(localStorage.getItem(NAME) ?? "{}") };
  } catch {
    return defaults;
  }
}

export function prefer(changes: Partial<Preferences>): void {
  preferences = { ...preferences, ...changes };
  localStorage.setItem(NAME, JSON.stringify(preferences));
  applyTheme();
  for (const listener of listeners) listener();
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = preferences.theme;
}

export function usePreferences(): Preferences {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => preferences,
  );
}
