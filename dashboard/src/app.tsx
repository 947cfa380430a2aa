/** Sign-in, or the shell with the screen that the URL names. */

import { QueryClientProvider } from "@tanstack/preact-query";
import { useMemo } from "preact/hooks";
import { Router, useLocation } from "wouter-preact";
import { makeQueryClient } from "./api/polling";
import { ErrorBoundary } from "./components/boundary";
import { Toasts } from "./components/toasts";
import { projectBase, projectIn } from "./project";
import { Screens } from "./screens";
import { SignIn } from "./screens/sign-in";
import { useSessionState } from "./session";
import { Shell } from "./shell/shell";

export function App() {
  const { key, expired } = useSessionState();
  const [place] = useLocation();
  // Of the address itself, as everybody else asks: the router's place has been unescaped.
  const project = projectIn(location.pathname);
  // Another key or project sees other things: nothing of what was known is kept.
  // biome-ignore lint/correctness/useExhaustiveDependencies: made for the key in the project
  const client = useMemo(makeQueryClient, [key, project]);
  if (!key) return <SignIn expired={expired} />;
  return (
    <QueryClientProvider client={client} key={project ?? ""}>
      <Router base={projectBase(project)}>
        <Shell>
          <ErrorBoundary place={place}>
            <Screens />
          </ErrorBoundary>
        </Shell>
        <Toasts />
      </Router>
    </QueryClientProvider>
  );
}
