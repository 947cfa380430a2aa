import { useQuery } from "@tanstack/preact-query";
import { useEffect } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { useAccess } from "../access";
import { answer, api, ProblemError } from "../api/client";
import type { Whoami } from "../api/schema";
import { inProject, projectIn } from "../project";
import { DESTINATIONS, isWithin } from "./destinations";

/** The current project. The root key can switch to another one. */
export function ProjectChoice() {
  const { operator, whoami } = useAccess();
  const [place, navigate] = useLocation();
  const projects = useQuery({
    queryKey: ["projects", "names"],
    queryFn: () => answer(api.GET("/v1/projects", { params: { query: { limit: 1000 } } })),
    enabled: operator,
    staleTime: 30_000,
  });
  if (!whoami) return <span class="project" />;
  if (!operator) return <span class="project">{whoami.project}</span>;
  const names = new Set([whoami.project, ...(projects.data?.items.map(({ name }) => name) ?? [])]);
  // Keep the screen, but not the queue, when switching projects.
  const screen = DESTINATIONS.find(({ path }) => isWithin(path, place))?.path ?? "/";
  return (
    <select
      class="project"
      aria-label="Project"
      value={whoami.project}
      onChange={(event) => navigate(inProject(event.currentTarget.value, screen))}
    >
      {[...names].sort().map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}

/** Add the key's own project to the URL if the URL names no project. */
export function useProjectInUrl(whoami: Whoami | undefined): void {
  const [, navigate] = useLocation();
  const missing = whoami !== undefined && whoami.project !== "default" && !projectIn(location.pathname);
  useEffect(() => {
    const view = location.pathname.slice("/dashboard".length) + location.search;
    if (missing) navigate(inProject(whoami.project, view), { replace: true });
  }, [missing, whoami, navigate]);
}

/** The link out of a project that does not exist or that the key may not use. */
export function ExitLink({ error }: { error: Error }) {
  const status = error instanceof ProblemError ? error.problem.status : 0;
  if (!projectIn(location.pathname) || (status !== 403 && status !== 404)) return null;
  return (
    <p>
      <Link href={inProject("default", "/")}>
        {status === 403 ? "Go to your key's own project" : "Go to the default project"}
      </Link>
    </p>
  );
}
