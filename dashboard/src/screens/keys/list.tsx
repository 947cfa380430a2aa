import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useAccess } from "../../access";
import { answer, api } from "../../api/client";
import type { Key } from "../../api/schema";
import { Button } from "../../components/controls/button";
import { Confirm } from "../../components/forms/dialog";
import { PageHead } from "../../components/page/head";
import { Empty } from "../../components/states/empty";
import { notify } from "../../components/states/toasts";
import { Listing } from "../../components/tables/listing";
import { usePages } from "../../components/tables/pages";
import type { Column } from "../../components/tables/table";
import { Ago } from "../../components/text/time";
import { curl } from "../../curl";
import { CreateKey } from "./create";

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
  if (!may("admin"))
    return <Empty title="Managing keys requires the scope admin">Your key does not have this scope.</Empty>;
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
            Give each program its own key, with only the scopes it needs:
          </Empty>
        }
      />
      {creating && <CreateKey onClose={() => setCreating(false)} />}
      {revoking && (
        <Confirm
          title={`Revoke ${revoking.name}`}
          action="Revoke key"
          onClose={() => setRevoking(null)}
          run={async () => {
            await answer(api.DELETE("/v1/keys/{key}", { params: { path: { key: revoking.id } } }));
            notify(`Revoked ${revoking.name}.`);
            await queries.invalidateQueries({ queryKey: ["keys"] });
          }}
        >
          <p>
            Requests with the key <strong>{revoking.name}</strong> are refused within five seconds, by every
            process.{revoking.id === whoami?.key_id && " You are signed in with this key."}
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
            {name} {id === own && <span class="badge blue">your key</span>}
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
