import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { useAccess } from "../access";
import { answer, api, ProblemError, tagged } from "../api/client";
import { every } from "../api/polling";
import type { Queue } from "../api/schema";
import { TELLS_GONE } from "../api/stale";
import { useAction } from "../components/action";
import { Button } from "../components/button";
import { Confirm } from "../components/dialog";
import { ActionProblem, PageHead, Tabs } from "../components/page";
import { ProblemNote } from "../components/problem";
import { Badge, Loading } from "../components/states";
import { messagesIn } from "../components/stats";
import { say } from "../components/toasts";
import { count } from "../format";
import { DeadLetterGroups } from "./dead-letter-groups";
import { Groups } from "./groups";
import { MessageScreen } from "./message";
import { Messages } from "./messages";
import { QueueSettings } from "./queue-form";
import { QueueOverview } from "./queue-overview";
import { SendDialog } from "./send";
import { QueueWebhooks } from "./webhooks";

export function useQueue(name: string) {
  return useQuery({
    queryKey: ["queues", "one", name],
    queryFn: () => tagged(api.GET("/v1/queues/{queue}", { params: { path: { queue: name } } })),
    refetchInterval: every(2),
    meta: TELLS_GONE,
    // It copies objects member by member, and so loses a label named __proto__.
    structuralSharing: false,
  });
}

export function QueueScreen({ name, tab, id }: { name: string; tab: string; id: string | undefined }) {
  const { data, error, refetch, dataUpdatedAt } = useQueue(name);
  const { may } = useAccess();
  if (error instanceof ProblemError && error.gone) return <Gone name={name} error={error} />;
  if (!data) return error ? <ProblemNote error={error} again={() => refetch()} /> : <Loading />;
  const { found: queue, etag } = data;
  if (tab === "messages" && id) return <MessageScreen queue={queue} id={id} key={id} />;
  return (
    <>
      <QueueHead queue={queue} />
      <Tabs base={`/queues/${name}`} tabs={tabs(queue, may)} current={tab} />
      {tab === "" && <QueueOverview queue={queue} at={dataUpdatedAt} />}
      {tab === "messages" && <Messages queue={queue} />}
      {tab === "groups" && <Groups queue={queue} />}
      {tab === "dead-letters" && <DeadLetterGroups queue={queue} />}
      {tab === "webhooks" && <QueueWebhooks queue={queue} />}
      {tab === "settings" && <QueueSettings queue={queue} etag={etag} may={may("manage")} />}
    </>
  );
}

function tabs(queue: Queue, may: ReturnType<typeof useAccess>["may"]): [string, string][] {
  return [
    ["", "Overview"],
    ...(may("browse") ? ([["messages", "Messages"]] as [string, string][]) : []),
    ...(may("browse") && queue.type === "fifo" ? ([["groups", "Groups"]] as [string, string][]) : []),
    ...(may("browse") ? ([["dead-letters", "Dead letters"]] as [string, string][]) : []),
    ...(may("manage") ? ([["webhooks", "Webhooks"]] as [string, string][]) : []),
    ["settings", "Settings"],
  ];
}

function Gone({ name, error }: { name: string; error: Error }) {
  return (
    <>
      <PageHead title={name} mono up={{ href: "/queues", name: "Queues" }} />
      <ProblemNote error={error} />
    </>
  );
}

function QueueHead({ queue }: { queue: Queue }) {
  const { may } = useAccess();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const [open, setOpen] = useState<"send" | "purge" | "delete" | null>(null);
  const path = { queue: queue.name };
  const close = () => setOpen(null);
  const renew = () => queries.invalidateQueries({ queryKey: ["queues"] });
  const pause = useAction(async () => {
    await answer(api.PATCH("/v1/queues/{queue}", { params: { path }, body: { paused: !queue.paused } }));
    say(queue.paused ? "Resumed." : "Paused: sends are stored, nobody receives.");
    await renew();
  });
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
      {may("manage") && (
        <>
          <Button icon={queue.paused ? "play" : "pause"} busy={pause.busy} onClick={pause.run}>
            {queue.paused ? "Resume" : "Pause"}
          </Button>
          <Button kind="danger" onClick={() => setOpen("purge")}>
            Purge
          </Button>
          <Button kind="danger" onClick={() => setOpen("delete")}>
            Delete
          </Button>
        </>
      )}
      <ActionProblem error={pause.error} />
      {open === "send" && <SendDialog queue={queue.name} onClose={close} />}
      {open === "purge" && (
        <Confirm
          title={`Purge ${queue.name}`}
          action={`Purge ${messagesIn(queue.stats)}`}
          typed={queue.name}
          run={async () => {
            const { purged } = await answer(api.POST("/v1/queues/{queue}/purge", { params: { path } }));
            say(`Purged ${count(purged)} messages.`);
            await queries.invalidateQueries();
          }}
          onClose={close}
        >
          <p>
            Everything in <strong class="mono">{queue.name}</strong> is removed for good:{" "}
            {messagesIn(queue.stats)}, those that consumers hold ({count(queue.stats.leased)}) too.
          </p>
        </Confirm>
      )}
      {open === "delete" && (
        <Confirm
          title={`Delete ${queue.name}`}
          action="Delete the queue"
          typed={queue.name}
          run={async () => {
            await answer(api.DELETE("/v1/queues/{queue}", { params: { path } }));
            say(`Deleted ${queue.name}.`);
            navigate("/queues");
            await renew();
          }}
          onClose={close}
        >
          <p>
            The queue goes with {messagesIn(queue.stats)}, its webhooks and its subscriptions. Receipts that
            consumers hold are worthless from then on.
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
