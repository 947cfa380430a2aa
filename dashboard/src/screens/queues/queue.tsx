import { useQuery } from "@tanstack/preact-query";
import { useAccess } from "../../access";
import { api, ProblemError, tagged } from "../../api/client";
import { every } from "../../api/polling";
import type { Queue } from "../../api/schema";
import { REPORTS_GONE } from "../../api/stale";
import { PageHead } from "../../components/page/head";
import { Tabs } from "../../components/page/tabs";
import { Loading } from "../../components/states/loading";
import { ProblemNote } from "../../components/states/problem";
import { DeadLetterGroups } from "../dead-letters";
import { MessageScreen, Messages } from "../messages";
import { QueueWebhooks } from "../webhooks";
import { Groups } from "./groups";
import { QueueHead } from "./head";
import { QueueOverview } from "./overview";
import { QueueSettings } from "./settings";

function useQueue(name: string) {
  return useQuery({
    queryKey: ["queues", "one", name],
    queryFn: () => tagged(api.GET("/v1/queues/{queue}", { params: { path: { queue: name } } })),
    refetchInterval: every(2),
    meta: REPORTS_GONE,
    // Structural sharing copies objects member by member, and so loses a label named __proto__.
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
