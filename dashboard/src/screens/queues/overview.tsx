import { useQuery } from "@tanstack/preact-query";
import { useEffect, useRef, useState } from "preact/hooks";
import { useAccess } from "../../access";
import { answer, api } from "../../api/client";
import { every } from "../../api/polling";
import type { Queue, QueueActivity, QueueStats } from "../../api/schema";
import { Chart, type Line } from "../../components/charts/chart";
import { RatesChart, recentRate } from "../../components/charts/rates";
import { StatsFigures } from "../../components/charts/stats";
import { Card } from "../../components/page/card";
import { Empty } from "../../components/states/empty";
import { Loading } from "../../components/states/loading";
import { ProblemNote } from "../../components/states/problem";
import { curl } from "../../curl";
import { Consumers } from "./consumers";
import { Feeds } from "./feeds";
import { StallNote } from "./stalled";

export function QueueOverview({ queue, at }: { queue: Queue; at: number }) {
  const { may } = useAccess();
  const activity = useActivity(queue.name);
  return (
    <div class="stack">
      {may("browse") && queue.stats.total > 0 && (
        <StallNote queue={queue} flowing={activity.data !== undefined && isFlowing(activity.data)} />
      )}
      <StatsFigures stats={queue.stats} />
      <div class="halves">
        <LiveDepth stats={queue.stats} at={at} />
        <Rates {...activity} />
      </div>
      {may("browse") && <Consumers queue={queue.name} />}
      <Feeds queue={queue.name} />
      {queue.stats.total === 0 && (
        <Empty
          title="This queue is empty"
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

/** The queue's counts since the page was opened, one sample per response. */
function LiveDepth({ stats, at }: { stats: QueueStats; at: number }) {
  const samples = useRef<Sample[]>([]);
  const [, redraw] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs for each response, even if the counts are the same
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

function useActivity(queue: string) {
  return useQuery({
    queryKey: ["queues", "activity", queue],
    queryFn: () =>
      answer(
        api.GET("/v1/queues/{queue}/activity", {
          params: { path: { queue }, query: { resolution: 30, period: 3600 } },
        }),
      ),
    refetchInterval: every(10),
  });
}

/** Return whether messages were received and deleted in the last minute. */
function isFlowing({ received, deleted, resolution, start }: QueueActivity): boolean {
  const begun = Date.parse(start) / 1000;
  return [received, deleted].every((counts) => recentRate(counts, resolution, begun) > 0);
}

function Rates({ data, error }: Pick<ReturnType<typeof useActivity>, "data" | "error">) {
  return (
    <Card title="Messages per second, last hour">
      {data ? <RatesChart activity={data} /> : error ? <ProblemNote error={error} /> : <Loading />}
    </Card>
  );
}
