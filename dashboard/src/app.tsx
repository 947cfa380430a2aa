/** Sign-in, or the shell with the screen that the URL names. */

import { QueryClientProvider } from "@tanstack/preact-query";
import { useMemo } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { makeQueryClient } from "./api/polling";
import { ErrorBoundary } from "./components/boundary";
import { Toasts } from "./components/toasts";
import { Screens } from "./screens";
import { SignIn } from "./screens/sign-in";
import { useSessionState } from "./session";
import { Shell } from "./shell/shell";

export function App() {
  const { session, expired } = useSessionState();
  const [place] = useLocation();
  // Another key or project sees other things: nothing of what was known is kept.
  // biome-ignore lint/correctness/useExhaustiveDependencies: made for the session
  const client = useMemo(makeQueryClient, [session]);
  if (!session) return <SignIn expired={expired} />;
  return (
    <QueryClientProvider client={client} key={session.project ?? ""}>
      <Shell>
        <ErrorBoundary place={place}>
          <Screens />
        </ErrorBoundary>
      </Shell>
      <Toasts />
    </QueryClientProvider>
  );
}
