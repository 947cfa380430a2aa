/** The user's preferences, kept in this browser only. */

import { cell } from "./cell";

export type Theme = "system" | "light" | "dark";
export type Clock = "local" | "utc";

export interface Preferences {
  theme: Theme;
  clock: Clock;
}

const NAME = "restante.preferences";
const preferences = cell(stored());

function stored(): Preferences {
  const defaults: Preferences = { theme: "system", clock: "local" };
  try {
    return { ...defaults, ...JSON.parse(localStorage.getItem(NAME) ?? "{}") };
  } catch {
    return defaults;
  }
}

export function prefer(changes: Partial<Preferences>): void {
  preferences.set({ ...preferences.get(), ...changes });
  localStorage.setItem(NAME, JSON.stringify(preferences.get()));
  applyTheme();
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = preferences.get().theme;
}

export const usePreferences = preferences.use;
