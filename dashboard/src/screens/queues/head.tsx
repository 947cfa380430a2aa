import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { useAccess } from "../../access";
import { answer, api } from "../../api/client";
import type { Queue } from "../../api/schema";
import { messagesIn } from "../../components/charts/stats";
import { Button } from "../../components/controls/button";
import { Confirm } from "../../components/forms/dialog";
import { PageHead } from "../../components/page/head";
import { PauseQueue } from "../../components/page/pause-queue";
import { Badge } from "../../components/states/badge";
import { notify } from "../../components/states/toasts";
import { count, plural } from "../../format";
import { SendDialog } from "../messages";

export function QueueHead({ queue }: { queue: Queue }) {
  const { may } = useAccess();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const [open, setOpen] = useState<"send" | "purge" | "delete" | null>(null);
  const path = { queue: queue.name };
  const close = () => setOpen(null);
  const renew = () => queries.invalidateQueries({ queryKey: ["queues"] });
  return (
    <PageHead
      title={queue.name}
      mono
      up={{ href: "/queues", name: "Queues" }}
      about={<About queue={queue} />}
    >
      {may("send") && (
        <Button kind="primary" icon="send" onClick={() => setOpen("send")}>
          Send
        </Button>
      )}
      <PauseQueue queue={queue} />
      {may("manage") && (
        <>
          <Button kind="danger" onClick={() => setOpen("purge")}>
            Purge
          </Button>
          <Button kind="danger" onClick={() => setOpen("delete")}>
            Delete
          </Button>
        </>
      )}
      {open === "send" && <SendDialog queue={queue.name} onClose={close} />}
      {open === "purge" && (
        <Confirm
          title={`Purge ${queue.name}`}
          action={`Purge ${messagesIn(queue.stats)}`}
          typed={queue.name}
          run={async () => {
            const { purged } = await answer(api.POST("/v1/queues/{queue}/purge", { params: { path } }));
            notify(`Purged ${plural(purged, "message")}.`);
            await queries.invalidateQueries();
          }}
          onClose={close}
        >
          <p>
            This permanently deletes everything in <strong class="mono">{queue.name}</strong>:{" "}
            {messagesIn(queue.stats)}, including {count(queue.stats.leased)} that consumers have leased.
          </p>
        </Confirm>
      )}
      {open === "delete" && (
        <Confirm
          title={`Delete ${queue.name}`}
          action="Delete queue"
          typed={queue.name}
          run={async () => {
            await answer(api.DELETE("/v1/queues/{queue}", { params: { path } }));
            notify(`Deleted ${queue.name}.`);
            navigate("/queues");
            await renew();
          }}
          onClose={close}
        >
          <p>
            This permanently deletes the queue with {messagesIn(queue.stats)}, its webhooks and its
            subscriptions. Receipts that consumers hold become invalid.
          </p>
        </Confirm>
      )}
    </PageHead>
  );
}

function About({ queue }: { queue: Queue }) {
  return (
    <>
      <span class="badge grey">{queue.type}</span>
      {queue.paused && <Badge state="paused" />}
      {Object.entries(queue.labels).map(([name, value]) => (
        <Link key={name} class="chip clip" href={`/queues?label=${encodeURIComponent(`${name}:${value}`)}`}>
          {name}:{value}
        </Link>
      ))}
      {queue.dead_letter && (
        <span>
          dead letters to{" "}
          <Link class="mono" href={`/queues/${queue.dead_letter.queue}`}>
            {queue.dead_letter.queue}
          </Link>{" "}
          after {queue.dead_letter.max_receives} receives
        </span>
      )}
    </>
  );
}
