import { useQuery } from "@tanstack/preact-query";
import { useAccess } from "../access";
import { answer, api } from "../api/client";
import { enterProject } from "../session";

/** The project one is in; the root key may go to another. */
export function ProjectChoice() {
  const { operator, whoami } = useAccess();
  const projects = useQuery({
    queryKey: ["projects", "names"],
    queryFn: () => answer(api.GET("/v1/projects", { params: { query: { limit: 1000 } } })),
    enabled: operator,
    staleTime: 30_000,
  });
  if (!whoami) return <span class="project" />;
  if (!operator) return <span class="project">{whoami.project}</span>;
  const names = new Set([whoami.project, ...(projects.data?.items.map(({ name }) => name) ?? [])]);
  return (
    <select
      class="project"
      aria-label="Project"
      value={whoami.project}
      onChange={(event) => enterProject(event.currentTarget.value)}
    >
      {[...names].sort().map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}
