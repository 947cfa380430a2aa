import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answer, api, tagged } from "../../api/client";
import type { LimitFields, Project } from "../../api/schema";
import { FormDialog } from "../../components/forms/dialog";
import { ChangedElsewhere, difference, type Editing, useEdited } from "../../components/forms/edited";
import { TextField } from "../../components/forms/field";
import { FreshDialog } from "../../components/forms/fresh-dialog";
import { fieldProblem } from "../../components/states/problem";
import { notify } from "../../components/states/toasts";

export const LIMITS: readonly (readonly [keyof LimitFields, string])[] = [
  ["queues", "Queues"],
  ["messages", "Messages"],
  ["bytes", "Message bytes"],
  ["requests_per_second", "Requests per second"],
  ["parked_receives", "Waiting receives"],
];

export function LimitsDialog({ name, onClose }: { name: string; onClose: () => void }) {
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

export function ProjectDialog({ editing, onClose }: { editing?: Editing<Project>; onClose: () => void }) {
  const { now: project, etag, before, save } = useEdited(editing);
  const queries = useQueryClient();
  const [name, setName] = useState(project?.name ?? "");
  // Only the edited fields. The others show the current values, including changes made elsewhere.
  const [typed, setTyped] = useState<Partial<Record<keyof LimitFields, string>>>({});
  const shown = (limit: keyof LimitFields) => typed[limit] ?? String(project?.limits[limit] ?? "");
  const write = async () => {
    const path = { project: name.trim() };
    const wanted: LimitFields = Object.fromEntries(
      LIMITS.map(([limit]) => [limit, shown(limit).trim() ? Number(shown(limit)) : null]),
    );
    // Do not overwrite changes made elsewhere.
    const header = etag ? { "If-Match": etag } : { "If-None-Match": "*" };
    const body = { limits: wanted };
    await save(answer(api.PUT("/v1/projects/{project}", { params: { path, header }, body })));
    await queries.invalidateQueries({ queryKey: ["projects"] });
    notify("Saved.");
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
                hint="Leave empty for no limit"
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
