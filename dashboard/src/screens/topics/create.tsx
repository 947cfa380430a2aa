import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { answer, api } from "../../api/client";
import { FormDialog } from "../../components/forms/dialog";
import { SelectField, TextField } from "../../components/forms/field";
import { notify } from "../../components/states/toasts";

export function CreateTopic({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [type, setType] = useState<"standard" | "fifo">("standard");
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const create = async () => {
    const topic = name.trim();
    const params = { path: { topic }, header: { "If-None-Match": "*" } };
    await answer(api.PUT("/v1/topics/{topic}", { params, body: { type } }));
    await queries.invalidateQueries({ queryKey: ["topics"] });
    notify(`Created ${topic}.`);
    navigate(`/topics/${topic}`);
  };
  return (
    <FormDialog
      title="Create topic"
      action="Create topic"
      ready={name.trim() !== ""}
      run={create}
      onClose={onClose}
    >
      {() => (
        <>
          <TextField label="Name" mono required autofocus value={name} onValue={setName} />
          <SelectField
            label="Type"
            hint="Subscribed queues must have the same type. Cannot be changed later."
            value={type}
            onValue={setType}
            options={[
              ["standard", "Standard"],
              ["fifo", "Fifo (in order within groups, in every queue)"],
            ]}
          />
        </>
      )}
    </FormDialog>
  );
}
