import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answer, api } from "../../api/client";
import type { Scope } from "../../api/schema";
import { Dialog, Done, FormDialog } from "../../components/forms/dialog";
import { CheckField, TextField } from "../../components/forms/field";
import { fieldProblem } from "../../components/states/problem";
import { toggled } from "../../components/tables/selection";
import { CodeBox } from "../../components/text/copy";
import { fromField } from "../../format";
import { usePreferences } from "../../preferences";

const SCOPES: readonly (readonly [Scope, string])[] = [
  ["send", "Send and publish messages"],
  ["receive", "Receive, settle and stream messages"],
  ["browse", "View messages, groups and attempts"],
  [
    "manage",
    "Create and change queues, topics and webhooks; purge queues; redrive, move and delete messages",
  ],
  ["grant", "Create keys with fewer permissions than this one, valid for at most a day"],
  ["admin", "All of the above, and all keys of the project"],
];

export function CreateKey({ onClose }: { onClose: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<ReadonlySet<string>>(new Set(["receive"]));
  const [patterns, setPatterns] = useState("*");
  const [expires, setExpires] = useState("");
  const [secret, setSecret] = useState<string | null>(null);
  const utc = usePreferences().clock === "utc";
  const create = async () => {
    const body = {
      name: name.trim(),
      scopes: SCOPES.map(([scope]) => scope).filter((scope) => scopes.has(scope)),
      queues: patterns.split(/[\s,]+/).filter(Boolean),
      expires_at: fromField(expires, utc) || null,
    };
    const made = await answer(api.POST("/v1/keys", { body }));
    setSecret(made.secret);
    await queries.invalidateQueries({ queryKey: ["keys"] });
  };
  if (secret !== null) {
    return (
      <Dialog title={`The key ${name.trim()}`} onClose={onClose} kept>
        <div class="stack">
          <p>Copy it now: it is not shown again, because only its hash is stored.</p>
          <CodeBox text={secret} label="Copy the key" />
          <Done onClose={onClose}>I have saved it</Done>
        </div>
      </Dialog>
    );
  }
  return (
    <FormDialog
      title="Create key"
      action="Create key"
      ready={name.trim() !== "" && scopes.size > 0}
      run={create}
      stays
      onClose={onClose}
    >
      {(error) => (
        <>
          <TextField
            label="Name"
            required
            autofocus
            value={name}
            onValue={setName}
            error={fieldProblem(error, "/name")}
            hint="What the key is for"
          />
          <fieldset class="stack tight">
            <legend>Scopes</legend>
            {SCOPES.map(([scope, meaning]) => (
              <CheckField
                key={scope}
                label={scope}
                hint={meaning}
                checked={scopes.has(scope)}
                onChecked={() => setScopes(toggled(scopes, scope))}
              />
            ))}
          </fieldset>
          <TextField
            label="Queues and topics"
            mono
            value={patterns}
            onValue={setPatterns}
            error={fieldProblem(error, "/queues")}
            hint="Names, or prefixes that end in *, separated by commas: orders-*, mail"
          />
          <TextField
            label={utc ? "Expires (UTC)" : "Expires"}
            type="datetime-local"
            value={expires}
            onValue={setExpires}
            error={fieldProblem(error, "/expires_at")}
            hint="Leave empty for a key that does not expire"
          />
        </>
      )}
    </FormDialog>
  );
}
