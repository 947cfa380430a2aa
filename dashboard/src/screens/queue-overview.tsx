import { useQuery } from "@tanstack/preact-query";
import { useEffect, useRef, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAccess } from "../access";
import { answer, api } from "../api/client";
import { every } from "../api/polling";
import type { Queue, QueueActivity, QueueStats, QueueSubscription } from "../api/schema";
import { Chart, type Line } from "../components/chart";
import { CodeBox } from "../components/copy";
import { More } from "../components/more";
import { Card } from "../components/page";
import { moreOf, usePages } from "../components/pages";
import { ProblemNote } from "../components/problem";
import { Empty, Loading } from "../components/states";
import { StatsFigures } from "../components/stats";
import { curl } from "../curl";
import { rate } from "../format";
import { Consumers } from "./consumers";
import { subscriptionsFrom } from "./subscriptions";

export function QueueOverview({ queue, at }: { queue: Queue; at: number }) {
  const { may } = useAccess();
  return (
    <div class="stack">
      <StatsFigures stats={queue.stats} />
      <div class="halves">
        <LiveDepth stats={queue.stats} at={at} />
        <Rates queue={queue.name} />
      </div>
      {may("browse") && <Consumers queue={queue.name} />}
      <Feeds queue={queue.name} />
      {queue.stats.total === 0 && (
        <Empty
          title="Nothing waits here"
          curl={curl("POST", `/v1/queues/${queue.name}/messages`, '{"body": {"order": 17}}')}
        >
          Send a message:
        </Empty>
      )}
    </div>
  );
}

interface Sample {
  at: number;
  stats: QueueStats;
}

const SAMPLES = 300;

/** What the page has seen since it was opened: the answers of the queue, as they came. */
function LiveDepth({ stats, at }: { stats: QueueStats; at: number }) {
  const samples = useRef<Sample[]>([]);
  const [, redraw] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: for each answer, whether or not it says anything new
  useEffect(() => {
    samples.current = [...samples.current.slice(1 - SAMPLES), { at: at / 1000, stats }];
    redraw(at);
  }, [at]);
  const line = (of: "ready" | "leased" | "delayed", label: string, tone: string): Line => ({
    label,
    tone,
    values: samples.current.map((sample) => sample.stats[of]),
  });
  return (
    <Card title="Messages, live">
      <Chart
        label="Ready, leased and delayed messages since this page was opened"
        span={300}
        times={samples.current.map(({ at }) => at)}
        lines={[
          line("ready", "Ready", "blue"),
          line("leased", "Leased", "amber"),
          line("delayed", "Delayed", "violet"),
        ]}
      />
    </Card>
  );
}

function Rates({ queue }: { queue: string }) {
  const { data, error } = useQuery({
    queryKey: ["queues", "activity", queue],
    queryFn: () =>
      answer(
        api.GET("/v1/queues/{queue}/activity", {
          params: { path: { queue }, query: { resolution: 30, period: 3600 } },
        }),
      ),
    refetchInterval: every(10),
  });
  return (
    <Card title="Per second, last hour">
      {data ? <RatesChart activity={data} /> : error ? <ProblemNote error={error} /> : <Loading />}
    </Card>
  );
}

type Counts = Pick<QueueActivity, "start" | "resolution" | "sent" | "received" | "deleted" | "dead_lettered">;

/** Messages a second. */
export function RatesChart({ activity }: { activity: Counts }) {
  const start = Date.parse(activity.start) / 1000;
  const line = (
    of: "sent" | "received" | "deleted" | "dead_lettered",
    label: string,
    tone: string,
  ): Line => ({
    label,
    tone,
    values: rates(activity[of], activity.resolution, start),
    write: rate,
  });
  return (
    <Chart
      label="Messages sent, received, deleted and dead-lettered a second over the last hour"
      times={activity.sent.map((_, index) => start + index * activity.resolution)}
      lines={[
        line("sent", "Sent", "blue"),
        line("received", "Received", "amber"),
        line("deleted", "Deleted", "green"),
        line("dead_lettered", "Dead", "red"),
      ]}
    />
  );
}

/** What was counted in each bucket, as a rate: that of the one under way by the time that has passed of it. */
export function rates(counts: readonly number[], resolution: number, start: number, now = Date.now() / 1000) {
  return counts.map((n, index) => {
    const passed = now - (start + index * resolution);
    return n / Math.min(resolution, Math.max(passed, SOON));
  });
}

/** The rate over the last bucket and what has passed of the one under way. */
export function lately(
  counts: readonly number[],
  resolution: number,
  start: number,
  now = Date.now() / 1000,
) {
  const passed = now - (start + (counts.length - 1) * resolution);
  return (
    ((counts.at(-1) ?? 0) + (counts.at(-2) ?? 0)) / (resolution + Math.max(0, Math.min(passed, resolution)))
  );
}

// Counts are written down every five seconds: before that a bucket says nothing.
const SOON = 10;

/** The topics whose messages are copied to this queue. */
function Feeds({ queue }: { queue: string }) {
  const list = usePages(["queues", "subscriptions", queue], async (cursor) => {
    const params = { path: { queue }, query: { limit: 100, ...(cursor && { cursor }) } };
    const asked = api.GET("/v1/queues/{queue}/subscriptions", { params, parseAs: "text" });
    return subscriptionsFrom<QueueSubscription>((await answer(asked)) as unknown as string);
  });
  if (list.items.length === 0) return null;
  return (
    <Card title="Fed by topics">
      <ul class="lines">
        {list.items.map((subscription) => (
          <li key={`${subscription.topic} ${subscription.name}`}>
            <Link class="mono" href={`/topics/${subscription.topic}`}>
              {subscription.topic}
            </Link>{" "}
            as <span class="mono">{subscription.name}</span>
            {Object.keys(subscription.filter).length > 0 && <CodeBox text={subscription.text} />}
          </li>
        ))}
      </ul>
      <More {...moreOf(list)} />
    </Card>
  );
}
