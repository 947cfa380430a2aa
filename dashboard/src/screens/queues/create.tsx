import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { answer, api } from "../../api/client";
import { useDefaults } from "../../api/defaults";
import { FormDialog } from "../../components/forms/dialog";
import { TextField } from "../../components/forms/field";
import { notify } from "../../components/states/toasts";
import { type Config, type Draft, draftOf, typedFields } from "./draft";
import { QueueFieldset } from "./fieldset";

export function CreateQueue({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [typed, setTyped] = useState<Partial<Draft>>({});
  const { data: defaults } = useDefaults();
  const config = defaults?.queue as Config | undefined;
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const create = async () => {
    const queue = name.trim();
    const params = { path: { queue }, header: { "If-None-Match": "*" } };
    await answer(api.PUT("/v1/queues/{queue}", { params, body: config ? typedFields(config, typed) : {} }));
    await queries.invalidateQueries({ queryKey: ["queues"] });
    notify(`Created ${queue}.`);
    navigate(`/queues/${queue}`);
  };
  return (
    <FormDialog
      title="Create queue"
      action="Create queue"
      ready={name.trim() !== ""}
      run={create}
      onClose={onClose}
      wide
    >
      {(error) => (
        <>
          <TextField
            label="Name"
            mono
            required
            autofocus
            value={name}
            onValue={setName}
            hint="Letters, digits and . _ ~ -, starting with a letter or digit"
          />
          {config && (
            <details>
              <summary>Settings</summary>
              <QueueFieldset
                draft={{ ...draftOf(config), ...typed }}
                fresh
                error={error}
                change={(changes) => setTyped((old) => ({ ...old, ...changes }))}
              />
            </details>
          )}
        </>
      )}
    </FormDialog>
  );
}
