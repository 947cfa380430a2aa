import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { useAccess } from "../../access";
import { answer, api } from "../../api/client";
import type { LimitFields, Project, ProjectUse } from "../../api/schema";
import { Button } from "../../components/controls/button";
import { Confirm } from "../../components/forms/dialog";
import { PageHead } from "../../components/page/head";
import { Empty } from "../../components/states/empty";
import { notify } from "../../components/states/toasts";
import { Listing } from "../../components/tables/listing";
import { usePages } from "../../components/tables/pages";
import type { Column } from "../../components/tables/table";
import { plural, short } from "../../format";
import { inProject } from "../../project";
import { LIMITS, LimitsDialog, ProjectDialog } from "./limits";

export function Projects() {
  const { operator, whoami } = useAccess();
  const [edited, setEdited] = useState<Project | null>(null);
  const [creating, setCreating] = useState(false);
  const [deleted, setDeleted] = useState<Project | null>(null);
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const list = usePages(
    ["projects", "list"],
    (cursor) =>
      answer(api.GET("/v1/projects", { params: { query: { limit: 200, ...(cursor && { cursor }) } } })),
    { seconds: 15, enabled: operator },
  );
  if (!operator) return <Empty title="Only the operator can see projects">Sign in with the root key.</Empty>;
  return (
    <>
      <PageHead title="Projects">
        <Button kind="primary" icon="plus" onClick={() => setCreating(true)}>
          Create project
        </Button>
      </PageHead>
      <Listing
        list={list}
        label="Projects"
        whole
        columns={columns(whoami?.project ?? "", setEdited, setDeleted)}
        keyOf={({ name }) => name}
        empty={<Empty title="No projects" />}
      />
      {creating && <ProjectDialog onClose={() => setCreating(false)} />}
      {edited && <LimitsDialog name={edited.name} onClose={() => setEdited(null)} />}
      {deleted && (
        <Confirm
          title={`Delete ${deleted.name}`}
          action="Delete the project and everything in it"
          typed={deleted.name}
          onClose={() => setDeleted(null)}
          run={async () => {
            const params = { path: { project: deleted.name }, query: { force: true } };
            await answer(api.DELETE("/v1/projects/{project}", { params }));
            notify(`Deleted ${deleted.name}.`);
            if (deleted.name === whoami?.project) navigate(inProject("default", "/projects"));
            await queries.invalidateQueries();
          }}
        >
          <p>
            This permanently deletes everything in <strong class="mono">{deleted.name}</strong>:{" "}
            {plural(deleted.use.queues, "queue")}
            {deleted.use.messages !== null && ` with ${plural(deleted.use.messages, "message")}`}, and its
            topics, webhooks and keys.
          </p>
        </Confirm>
      )}
    </>
  );
}

function columns(
  current: string,
  edit: (project: Project) => void,
  remove: (project: Project) => void,
): Column<Project>[] {
  return [
    {
      name: "name",
      head: "Project",
      kind: "grow",
      cell: ({ name }) => (
        <span class="name-cell">
          <Link class="mono clip" href={inProject(name, "/")}>
            {name}
          </Link>
          {name === current && <span class="badge blue">current</span>}
        </span>
      ),
    },
    { name: "sent", head: "Sent, last hour", kind: "number extra", cell: ({ use }) => short(use.sent) },
    ...LIMITS.map(
      ([limit, head]): Column<Project> => ({
        name: limit,
        head,
        kind: "number extra",
        cell: ({ use, limits }) => <Used of={used(use, limit)} most={limits[limit]} />,
      }),
    ),
    {
      name: "actions",
      head: <span class="hidden">Actions</span>,
      cell: (project) => (
        <span class="name-cell">
          <Button onClick={() => edit(project)} aria-label={`Limits of ${project.name}`}>
            Limits
          </Button>
          <Button kind="danger" onClick={() => remove(project)} aria-label={`Delete ${project.name}`}>
            Delete
          </Button>
        </span>
      ),
    },
  ];
}

/** Return the usage of a limit. The service reports none for requests and waiting receives. */
function used(use: ProjectUse, limit: keyof LimitFields): number | null {
  return limit === "queues" || limit === "messages" || limit === "bytes" ? use[limit] : null;
}

function Used({ of, most }: { of: number | null; most: number | null }) {
  const full = of !== null && most !== null && of >= 0.9 * most;
  return (
    <span>
      {of !== null && <span class={full ? "late" : ""}>{short(of)} </span>}
      <span class="faint">
        {most === null ? "no limit" : `${of === null ? "at most" : "of"} ${short(most)}`}
      </span>
    </span>
  );
}
