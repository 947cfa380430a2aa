import { Link } from "wouter-preact";
import type { Consumer, LeaseHolder } from "../../api/schema";
import { Ago } from "../../components/text/time";

export const PROTOCOLS: Record<Consumer["via"], string> = {
  receive: "HTTP receive",
  websocket: "WebSocket",
  events: "Server-sent events",
  socket_io: "Socket.IO",
};

/** The name of a consumer's key, for a table cell. */
export function KeyName({ key_id, key_name }: { key_id: string | null; key_name: string | null }) {
  if (key_name === null) return <span class="faint">{unnamed(key_id)}</span>;
  return (
    <span class="mono clip" title={key_name}>
      {key_name}
    </span>
  );
}

function unnamed(key_id: string | null): string {
  return key_id === null ? "the root key" : "a revoked key";
}

/** The holder of a message's lease, for a table cell. */
export function Holder({ holder }: { holder: LeaseHolder }) {
  const { via, webhook } = holder;
  if (via === "webhook") return <span class="faint">{webhook ? "a webhook" : "a deleted webhook"}</span>;
  return via ? <KeyName {...holder} /> : null;
}

/** The holder of a message's lease, for a sentence. */
export function HolderName({ queue, holder }: { queue: string; holder: LeaseHolder | null | undefined }) {
  const { via, key_id, key_name, webhook } = holder ?? {};
  if (!via) return <>a consumer</>;
  if (webhook)
    return (
      <>
        webhook{" "}
        <Link class="mono" href={`/queues/${queue}/webhooks/${webhook}`}>
          {webhook}
        </Link>
      </>
    );
  if (via === "webhook") return <>a deleted webhook</>;
  if (!key_name) return <>{unnamed(key_id ?? null)}</>;
  return (
    <>
      key <span class="mono">{key_name}</span>
    </>
  );
}

/** A sentence that says when and how the message was leased. */
export function LeasedSince({ holder: { via, since } }: { holder: LeaseHolder }) {
  const way = via && via !== "webhook" && (via === "events" ? "server-sent events" : PROTOCOLS[via]);
  return (
    <>
      Leased <Ago time={since} />
      {way && ` by ${way}`}.
    </>
  );
}
