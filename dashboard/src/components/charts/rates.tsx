import type { QueueActivity } from "../../api/schema";
import { rate } from "../../format";
import { Chart, type Line } from "./chart";

type Counts = Pick<QueueActivity, "start" | "resolution" | "sent" | "received" | "deleted" | "dead_lettered">;

/** Messages per second. */
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
      label="Messages sent, received, deleted and dead-lettered per second over the last hour"
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

/** Return the rate in each bucket. The rate of the current bucket uses the time that has passed so far. */
export function rates(counts: readonly number[], resolution: number, start: number, now = Date.now() / 1000) {
  return counts.map((n, index) => {
    const passed = now - (start + index * resolution);
    return n / Math.min(resolution, Math.max(passed, SOON));
  });
}

/** Return the rate over the last complete bucket and the part of the current one that has passed. */
export function recentRate(
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

// The service writes counts every five seconds, so a younger bucket has no meaningful rate.
const SOON = 10;
