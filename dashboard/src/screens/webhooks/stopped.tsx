import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useAccess } from "../../access";
import { answer, api } from "../../api/client";
import { every } from "../../api/polling";
import type { Webhook } from "../../api/schema";
import { useAction } from "../../components/controls/action";
import { Button } from "../../components/controls/button";
import { ActionProblem } from "../../components/page/head";
import { notify } from "../../components/states/toasts";
import { Ago, At } from "../../components/text/time";

/** A queue's webhooks, and the one that will resume first if none is taking messages. */
export interface Webhooks {
  items: readonly Webhook[];
  stopped: Webhook | undefined;
}

/** Return a queue's webhooks; undefined until they are loaded, or if the key may not see them. */
export function useWebhooks(queue: string): Webhooks | undefined {
  const { may } = useAccess();
  const params = { path: { queue }, query: { limit: 1000 } };
  const { data } = useQuery({
    queryKey: ["queues", "stopped", queue],
    queryFn: () => answer(api.GET("/v1/queues/{queue}/webhooks", { params })),
    enabled: may("manage"),
    refetchInterval: every(5),
  });
  return data && { items: data.items, stopped: data.next_cursor ? undefined : firstToResume(data.items) };
}

function firstToResume(webhooks: readonly Webhook[]): Webhook | undefined {
  if (webhooks.some(({ state }) => state === "active")) return undefined;
  return [...webhooks].sort(
    (one, other) =>
      Number(other.enabled) - Number(one.enabled) || (one.until ?? "").localeCompare(other.until ?? ""),
  )[0];
}

/** Sentences for the API's reasons why a webhook takes no messages. */
const REASONS: Record<string, string> = {
  retry_after: "Its receiver asked for a pause.",
  gone: "Its receiver answered 410 Gone.",
  "enabled is false": "It was disabled in its settings.",
};

function reason({ state, state_reason: said }: Webhook): string {
  if (state === "circuit_open") {
    return `The last ten attempts failed, most recently with “${said}”. After the pause, messages are tried one at a time until one succeeds.`;
  }
  return REASONS[said ?? ""] ?? said ?? "";
}

/** Why a webhook takes no messages, and for how long. */
export function StopReason({ webhook }: { webhook: Webhook }) {
  return (
    <>
      {reason(webhook)}
      {webhook.until && (
        <>
          {" "}
          Deliveries resume at <At time={webhook.until} /> (<Ago time={webhook.until} />
          ).
        </>
      )}
    </>
  );
}

/** The button that resumes or enables a webhook, if the key may do that. */
export function ResumeWebhook({
  queue,
  webhook,
  etag = null,
}: {
  queue: string;
  webhook: Webhook;
  etag?: string | null;
}) {
  const { may } = useAccess();
  const queries = useQueryClient();
  const path = { queue, webhook: webhook.name };
  const resume = useAction(async () => {
    const params = { path, header: etag ? { "If-Match": etag } : {} };
    await (webhook.enabled
      ? answer(api.POST("/v1/queues/{queue}/webhooks/{webhook}/resume", { params: { path } }))
      : answer(api.PATCH("/v1/queues/{queue}/webhooks/{webhook}", { params, body: { enabled: true } })));
    notify(`${webhook.enabled ? "Resumed" : "Enabled"} ${webhook.name}.`);
    await queries.invalidateQueries({ queryKey: ["queues"] });
  });
  if (webhook.state === "active" || !may("manage")) return null;
  return (
    <>
      <Button icon="play" busy={resume.busy} onClick={resume.run}>
        {webhook.enabled ? "Resume" : "Enable"}
      </Button>
      <ActionProblem error={resume.error} />
    </>
  );
}
