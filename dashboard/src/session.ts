/** The API key that is signed in, kept in this tab only. It acts in the project that the URL names. */

import { cell } from "./cell";
import { projectIn } from "./project";

export interface Session {
  key: string;
  /** null means the key's own project, or `default` for the root key. */
  project: string | null;
}

const KEY = "restante.key";

type State = { key: string | null; expired: boolean };

const state = cell<State>({ key: sessionStorage.getItem(KEY), expired: false });

export const useSessionState = state.use;

export function currentSession(): Session | null {
  const { key } = state.get();
  return key ? { key, project: projectIn(location.pathname) } : null;
}

/** Return whether the key and the project are still the same. */
export function stillIn(session: Session | null): boolean {
  const now = currentSession();
  return now?.key === session?.key && now?.project === session?.project;
}

export function signIn(key: string): void {
  sessionStorage.setItem(KEY, key);
  state.set({ key, expired: false });
}

/** Sign out. `expired` means that the service refused the key. The URL keeps the view for the next sign-in. */
export function signOut(expired = false): void {
  if (!currentSession()) return;
  sessionStorage.removeItem(KEY);
  state.set({ key: null, expired });
}
