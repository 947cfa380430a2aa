import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useAccess } from "../access";
import { answer, api } from "../api/client";
import type { Key, Scope } from "../api/schema";
import { Button } from "../components/button";
import { CodeBox } from "../components/copy";
import { Confirm, Dialog, Done, FormDialog } from "../components/dialog";
import { CheckField, TextField } from "../components/field";
import { Listing } from "../components/listing";
import { PageHead } from "../components/page";
import { usePages } from "../components/pages";
import { fieldProblem } from "../components/problem";
import { toggled } from "../components/selection";
import { Empty } from "../components/states";
import type { Column } from "../components/table";
import { Ago } from "../components/time";
import { say } from "../components/toasts";
import { curl } from "../curl";
import { fromField } from "../format";
import { usePreferences } from "../preferences";

const SCOPES: readonly (readonly [Scope, string])[] = [
  ["send", "Send and publish"],
  ["receive", "Receive, settle, stream"],
  ["browse", "Look at messages, groups and attempts"],
  ["manage", "Make and change queues, topics and webhooks; purge, redrive, act on messages"],
  ["admin", "All of these, and keys"],
];

export function Keys() {
  const { whoami, may } = useAccess();
  const queries = useQueryClient();
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<Key | null>(null);
  const list = usePages(
    ["keys"],
    (cursor) => answer(api.GET("/v1/keys", { params: { query: { limit: 100, ...(cursor && { cursor }) } } })),
    { seconds: 15, enabled: may("admin") },
  );
  if (!may("admin")) return <Empty title="Keys need the scope admin">Your key does not have it.</Empty>;
  return (
    <>
      <PageHead title="Keys">
        <Button kind="primary" icon="plus" onClick={() => setCreating(true)}>
          Create key
        </Button>
      </PageHead>
      <Listing
        list={list}
        label="Keys"
        whole
        columns={columns(setRevoking, whoami?.key_id ?? null)}
        keyOf={({ id }) => id}
        rowHeight={52}
        empty={
          <Empty
            title="No keys in this project"
            curl={curl(
              "POST",
              "/v1/keys",
              '{"name": "worker", "scopes": ["receive"], "queues": ["orders-*"]}',
            )}
          >
            Give each program a key of its own, with no more than it needs:
          </Empty>
        }
      />
      {creating && <CreateKey onClose={() => setCreating(false)} />}
      {revoking && (
        <Confirm
          title={`Revoke ${revoking.name}`}
          action="Revoke 1 key"
          onClose={() => setRevoking(null)}
          run={async () => {
            await answer(api.DELETE("/v1/keys/{key}", { params: { path: { key: revoking.id } } }));
            say(`Revoked ${revoking.name}.`);
            await queries.invalidateQueries({ queryKey: ["keys"] });
          }}
        >
          <p>
            Whoever uses <strong>{revoking.name}</strong> is refused within five seconds, in every process.
            {revoking.id === whoami?.key_id && " It is the key that you have signed in with."}
          </p>
        </Confirm>
      )}
    </>
  );
}

function columns(revoke: (key: Key) => void, own: string | null): Column<Key>[] {
  return [
    {
      name: "name",
      head: "Key",
      kind: "grow",
      cell: ({ id, name }) => (
        <span class="preview">
          <span class="clip" title={name}>
            {name} {id === own && <span class="badge blue">this one</span>}
          </span>
          <span class="mono faint clip">{id}</span>
        </span>
      ),
    },
    { name: "scopes", head: "Scopes", cell: ({ scopes }) => <span class="clip">{scopes.join(", ")}</span> },
    {
      name: "queues",
      head: "Queues and topics",
      kind: "extra",
      cell: ({ queues }) => <span class="mono clip">{queues.join(", ")}</span>,
    },
    {
      name: "used",
      head: "Last used",
      kind: "number extra",
      cell: ({ last_used_at }) =>
        last_used_at ? <Ago time={last_used_at} /> : <span class="faint">never</span>,
    },
    {
      name: "expires",
      head: "Expires",
      kind: "number extra",
      cell: ({ expires_at }) => (expires_at ? <Ago time={expires_at} /> : <span class="faint">never</span>),
    },
    {
      name: "revoke",
      head: <span class="hidden">Revoke</span>,
      cell: (key) => (
        <Button kind="danger" onClick={() => revoke(key)} aria-label={`Revoke ${key.name}`}>
          Revoke
        </Button>
      ),
    },
  ];
}

function CreateKey({ onClose }: { onClose: () => void }) {
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
          <p>Shown this once; only its hash is kept.</p>
          <CodeBox text={secret} label="Copy the key" />
          <Done onClose={onClose}>I have it</Done>
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
            hint="What it is for"
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
            hint="Patterns with * at their end, separated by commas: orders-*, mail"
          />
          <TextField
            label={utc ? "Expires, UTC" : "Expires"}
            type="datetime-local"
            value={expires}
            onValue={setExpires}
            error={fieldProblem(error, "/expires_at")}
            hint="Empty: never"
          />
        </>
      )}
    </FormDialog>
  );
}
