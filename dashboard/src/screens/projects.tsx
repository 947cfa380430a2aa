import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { useAccess } from "../access";
import { answer, api, tagged } from "../api/client";
import type { LimitFields, Project, ProjectUse } from "../api/schema";
import { Button } from "../components/button";
import { Confirm, FormDialog } from "../components/dialog";
import { ChangedElsewhere, difference, type Editing, useEdited } from "../components/edited";
import { TextField } from "../components/field";
import { FreshDialog } from "../components/fresh-dialog";
import { Listing } from "../components/listing";
import { PageHead } from "../components/page";
import { usePages } from "../components/pages";
import { fieldProblem } from "../components/problem";
import { Empty } from "../components/states";
import type { Column } from "../components/table";
import { say } from "../components/toasts";
import { plural, short } from "../format";
import { inProject } from "../project";

const LIMITS: readonly (readonly [keyof LimitFields, string])[] = [
  ["queues", "Queues"],
  ["messages", "Messages"],
  ["bytes", "Bytes of messages"],
  ["requests_per_second", "Requests a second"],
  ["parked_receives", "Receives that wait"],
];

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
  if (!operator)
    return <Empty title="Projects are the operator's">Sign in with the root key to see them.</Empty>;
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
          action="Delete the project and all in it"
          typed={deleted.name}
          onClose={() => setDeleted(null)}
          run={async () => {
            const params = { path: { project: deleted.name }, query: { force: true } };
            await answer(api.DELETE("/v1/projects/{project}", { params }));
            say(`Deleted ${deleted.name}.`);
            if (deleted.name === whoami?.project) navigate(inProject("default", "/projects"));
            await queries.invalidateQueries();
          }}
        >
          <p>
            Everything in <strong class="mono">{deleted.name}</strong> is removed for good:{" "}
            {plural(deleted.use.queues, "queue")}
            {deleted.use.messages !== null && ` with ${plural(deleted.use.messages, "message")}`}, its topics,
            webhooks and keys.
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
          {name === current && <span class="badge blue">here</span>}
        </span>
      ),
    },
    { name: "sent", head: "Sent, 1 h", kind: "number extra", cell: ({ use }) => short(use.sent) },
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

/** What the service knows of; requests and waiting receives it only bounds. */
function used(use: ProjectUse, limit: keyof LimitFields): number | null {
  return limit === "queues" || limit === "messages" || limit === "bytes" ? use[limit] : null;
}

function Used({ of, most }: { of: number | null; most: number | null }) {
  const full = of !== null && most !== null && of >= 0.9 * most;
  return (
    <span>
      {of !== null && <span class={full ? "late" : ""}>{short(of)} </span>}
      <span class="faint">
        {most === null ? "no bound" : `${of === null ? "at most" : "of"} ${short(most)}`}
      </span>
    </span>
  );
}

function LimitsDialog({ name, onClose }: { name: string; onClose: () => void }) {
  return (
    <FreshDialog
      title={`Limits of ${name}`}
      name={["projects", "limits", name]}
      read={() => tagged(api.GET("/v1/projects/{project}", { params: { path: { project: name } } }))}
      onClose={onClose}
    >
      {(editing) => <ProjectDialog editing={editing} onClose={onClose} />}
    </FreshDialog>
  );
}

function ProjectDialog({ editing, onClose }: { editing?: Editing<Project>; onClose: () => void }) {
  const { now: project, etag, before, save } = useEdited(editing);
  const queries = useQueryClient();
  const [name, setName] = useState(project?.name ?? "");
  // Only what was typed: what somebody else changes meanwhile shows in the other fields.
  const [typed, setTyped] = useState<Partial<Record<keyof LimitFields, string>>>({});
  const shown = (limit: keyof LimitFields) => typed[limit] ?? String(project?.limits[limit] ?? "");
  const write = async () => {
    const path = { project: name.trim() };
    const wanted: LimitFields = Object.fromEntries(
      LIMITS.map(([limit]) => [limit, shown(limit).trim() ? Number(shown(limit)) : null]),
    );
    // Not over what somebody else has set meanwhile.
    const header = etag ? { "If-Match": etag } : { "If-None-Match": "*" };
    const body = { limits: wanted };
    await save(answer(api.PUT("/v1/projects/{project}", { params: { path, header }, body })));
    await queries.invalidateQueries({ queryKey: ["projects"] });
    say("Saved.");
  };
  return (
    <FormDialog
      title={project ? `Limits of ${project.name}` : "Create project"}
      action={project ? "Save" : "Create project"}
      ready={name.trim() !== ""}
      run={write}
      onClose={onClose}
    >
      {(error) => (
        <>
          {!project && <TextField label="Name" mono required autofocus value={name} onValue={setName} />}
          <div class="columns">
            {LIMITS.map(([limit, label]) => (
              <TextField
                key={limit}
                label={label}
                type="number"
                hint="Empty: no bound"
                value={shown(limit)}
                error={fieldProblem(error, `/limits/${limit}`)}
                onValue={(value) => setTyped((old) => ({ ...old, [limit]: value }))}
              />
            ))}
          </div>
          {before && project && <ChangedElsewhere changes={difference(before.limits, project.limits)} />}
        </>
      )}
    </FormDialog>
  );
}
