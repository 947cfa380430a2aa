/** The sign-in form, or the shell with the screen that the URL names. */

import { QueryClientProvider } from "@tanstack/preact-query";
import { useMemo } from "preact/hooks";
import { Router, useLocation } from "wouter-preact";
import { makeQueryClient } from "./api/polling";
import { ErrorBoundary } from "./components/states/boundary";
import { Toasts } from "./components/states/toasts";
import { projectBase, projectIn } from "./project";
import { Screens } from "./screens";
import { SignIn } from "./screens/sign-in";
import { useSessionState } from "./session";
import { Shell } from "./shell/shell";

export function App() {
  const { key, expired } = useSessionState();
  const [place] = useLocation();
  // Read from the address itself, as elsewhere, because the router's location is already decoded.
  const project = projectIn(location.pathname);
  // Another key or project sees other data, so start with an empty cache.
  // biome-ignore lint/correctness/useExhaustiveDependencies: created for each key and project
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
