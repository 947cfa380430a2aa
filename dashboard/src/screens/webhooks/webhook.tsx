import { useQuery } from "@tanstack/preact-query";
import { useAccess } from "../../access";
import { every } from "../../api/polling";
import type { Webhook } from "../../api/schema";
import { Figure } from "../../components/page/card";
import { PageHead } from "../../components/page/head";
import { Badge } from "../../components/states/badge";
import { Loading } from "../../components/states/loading";
import { ProblemNote } from "../../components/states/problem";
import { count, duration, percent } from "../../format";
import { Actions, read } from "./actions";
import { Attempts } from "./attempts";
import { StopReason } from "./stopped";

export function WebhookScreen({ queue, webhook: name }: { queue: string; webhook: string }) {
  const { may } = useAccess();
  const { data, error, refetch } = useQuery({
    queryKey: ["queues", "webhook", queue, name],
    queryFn: () => read(queue, name),
    refetchInterval: every(3),
  });
  const up = { href: `/queues/${queue}/webhooks`, name: `Webhooks of ${queue}` };
  if (!data) {
    return (
      <>
        <PageHead title={name} mono up={up} />
        {error ? <ProblemNote error={error} again={() => refetch()} /> : <Loading />}
      </>
    );
  }
  const { found: webhook, etag } = data;
  return (
    <>
      <PageHead title={name} mono up={up} about={<About webhook={webhook} />}>
        <Actions queue={queue} webhook={webhook} etag={etag} />
      </PageHead>
      <div class="stack">
        {webhook.state !== "active" && (
          <p class="note away" role="status">
            <span>
              <strong>
                {webhook.state === "circuit_open" && !webhook.until
                  ? "Messages are being pushed one at a time."
                  : "Nothing is being pushed."}
              </strong>{" "}
              <StopReason webhook={webhook} />
            </span>
          </p>
        )}
        <div class="figures">
          <Figure name="Success, last 1,000" tone={(webhook.success_rate ?? 1) < 0.95 ? "red" : "green"}>
            {percent(webhook.success_rate)}
          </Figure>
          <Figure name="Latency">{webhook.latency === null ? "–" : duration(webhook.latency)}</Figure>
          <Figure name="Concurrency limit">{count(webhook.max_concurrency)}</Figure>
          <Figure name="Rate limit (per second)">
            {webhook.rate_limit === null ? "no limit" : count(webhook.rate_limit)}
          </Figure>
        </div>
        {may("browse") && <Attempts queue={queue} webhook={name} />}
      </div>
    </>
  );
}

function About({ webhook }: { webhook: Webhook }) {
  return (
    <>
      <Badge state={webhook.state} />
      <span class="mono wrap">{webhook.url}</span>
    </>
  );
}
