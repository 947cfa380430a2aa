/** Who is signed in: an API key, and for the root key the project that it acts in. Kept for this tab alone. */

import { useSyncExternalStore } from "preact/compat";

export interface Session {
  key: string;
  /** null: the key's own project, or `default` for the root key. */
  project: string | null;
}

const KEY = "restante.key";
const PROJECT = "restante.project";

type State = { session: Session | null; expired: boolean };

let state: State = { session: stored(), expired: false };
const listeners = new Set<() => void>();

function stored(): Session | null {
  const key = sessionStorage.getItem(KEY);
  return key ? { key, project: sessionStorage.getItem(PROJECT) } : null;
}

function change(next: State): void {
  state = next;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function currentSession(): Session | null {
  return state.session;
}

export function useSessionState(): State {
  return useSyncExternalStore(subscribe, () => state);
}

export function signIn(key: string): void {
  sessionStorage.setItem(KEY, key);
  sessionStorage.removeItem(PROJECT);
  change({ session: { key, project: null }, expired: false });
}

/** `expired`: the service does not know the key any more. The view stays in the URL, for after the next sign-in. */
export function signOut(expired = false): void {
  if (!state.session) return;
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(PROJECT);
  change({ session: null, expired });
}

export function enterProject(project: string): void {
  if (!state.session) return;
  sessionStorage.setItem(PROJECT, project);
  change({ ...state, session: { ...state.session, project } });
}
