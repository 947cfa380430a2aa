/** Who is signed in: an API key, and for the root key the project that it acts in. Kept for this tab alone. */

import { cell } from "./cell";

export interface Session {
  key: string;
  /** null: the key's own project, or `default` for the root key. */
  project: string | null;
}

const KEY = "restante.key";
const PROJECT = "restante.project";

type State = { session: Session | null; expired: boolean };

const state = cell<State>({ session: stored(), expired: false });

function stored(): Session | null {
  const key = sessionStorage.getItem(KEY);
  return key ? { key, project: sessionStorage.getItem(PROJECT) } : null;
}

export function currentSession(): Session | null {
  return state.get().session;
}

export const useSessionState = state.use;

export function signIn(key: string): void {
  sessionStorage.setItem(KEY, key);
  sessionStorage.removeItem(PROJECT);
  state.set({ session: { key, project: null }, expired: false });
}

/** `expired`: the service does not know the key any more. The view stays in the URL, for after the next sign-in. */
export function signOut(expired = false): void {
  if (!currentSession()) return;
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(PROJECT);
  state.set({ session: null, expired });
}

export function enterProject(project: string): void {
  const { session, expired } = state.get();
  if (!session) return;
  sessionStorage.setItem(PROJECT, project);
  state.set({ session: { ...session, project }, expired });
}
