import { useQuery } from "@tanstack/preact-query";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAccess } from "../access";
import { answer, api } from "../api/client";
import { every } from "../api/polling";
import type { Database, Overview as Seen } from "../api/schema";
import { Button } from "../components/button";
import { Card, Figure, PageHead } from "../components/page";
import { ProblemNote } from "../components/problem";
import { Badge, Empty, Loading } from "../components/states";
import { Amount } from "../components/stats";
import { curl } from "../curl";
import { bytes, count, duration, rate, short } from "../format";
import { lately, RatesChart } from "./queue-overview";
import { Redrive } from "./redrive";

export function useOverview() {
  return useQuery({
    queryKey: ["queues", "overview"],
    queryFn: () => answer(api.GET("/v1/overview")),
    refetchInterval: every(5),
  });
}

export function Overview() {
  const { data, error, refetch } = useOverview();
  if (!data) {
    return (
      <>
        <PageHead title="Overview" />
        {error ? <ProblemNote error={error} again={() => refetch()} /> : <Loading rows={8} />}
      </>
    );
  }
  return (
    <>
      <PageHead title="Overview" />
      <div class="stack">
        <Figures seen={data} />
        {data.queues === 0 ? (
          <First />
        ) : (
          <>
            <div class="halves">
              <Waiting seen={data} />
              <DeadLetterCard seen={data} />
            </div>
            {data.activity && (
              <Card title="Per second, last hour">
                <RatesChart activity={data.activity} />
              </Card>
            )}
          </>
        )}
      </div>
    </>
  );
}

function First() {
  return (
    <Empty
      title="Nothing here yet"
      curl={[
        curl("PUT", "/v1/queues/orders"),
        curl("POST", "/v1/queues/orders/messages", '{"body": {"order": 17}}'),
      ].join("\n")}
    >
      Make a queue, send a message, and look again. <Link href="/queues">Queues</Link> can be made by
      clicking, too.
    </Empty>
  );
}

function Figures({ seen }: { seen: Seen }) {
  const { activity, webhooks, database } = seen;
  const latest = (of: "sent" | "received" | "deleted") =>
    activity ? rate(lately(activity[of], activity.resolution, Date.parse(activity.start) / 1000)) : "–";
  const { may } = useAccess();
  const broken = webhooks.circuit_open + webhooks.disabled;
  const working = broken ? `${broken} not working` : `${webhooks.active} active`;
  return (
    <div class="figures">
      <Figure name="Queues">
        <Link href="/queues">{count(seen.queues)}</Link>
      </Figure>
      {activity && (
        <>
          <Figure name="Sent / s" tone="blue">
            {latest("sent")}
          </Figure>
          <Figure name="Received / s" tone="amber">
            {latest("received")}
          </Figure>
          <Figure name="Deleted / s" tone="green">
            {latest("deleted")}
          </Figure>
        </>
      )}
      <Figure
        name="Webhooks"
        tone={broken ? "red" : ""}
        title={`${webhooks.succeeded} of ${webhooks.attempts} attempts in the last hour`}
      >
        {webhooks.attempts > 0 ? `${((100 * webhooks.succeeded) / webhooks.attempts).toFixed(1)} %` : "–"}
        <small>{may("manage") ? <Link href="/webhooks">{working}</Link> : working}</small>
      </Figure>
      {database && <DatabaseFigure database={database} />}
    </div>
  );
}

/** How long a round trip takes; red too when a transaction has been open for long, since that keeps dead rows from going. */
function DatabaseFigure({ database }: { database: Database }) {
  const age = database.oldest_transaction_age;
  const troubled = database.latency > 0.25 || (age ?? 0) > 300;
  return (
    <Figure
      name="Database"
      tone={troubled ? "red" : "green"}
      title={`Oldest transaction: ${age === null ? "none" : duration(age)}`}
    >
      {duration(Math.max(0.001, database.latency))}
      <small>{bytes(database.size)}</small>
    </Figure>
  );
}

/** The queues whose oldest ready message waits longest. A bar is as long as that wait, by its logarithm. */
function Waiting({ seen }: { seen: Seen }) {
  const { may } = useAccess();
  const longest = Math.max(...(seen.oldest ?? []).map(({ stats }) => stats.oldest_ready_age ?? 0), 1);
  const width = (age: number) => Math.max(2, (100 * Math.log1p(age)) / Math.log1p(longest));
  return (
    <Card title="Waiting longest" action={<Link href="/queues?sort=age">All queues</Link>}>
      {seen.oldest === null ? (
        <TooSlow />
      ) : seen.oldest.length === 0 ? (
        <p class="quiet">No message waits: every queue is empty, or its consumers keep up.</p>
      ) : (
        <ul class="bars">
          {seen.oldest.map(({ queue, stats, paused }) => (
            <li key={queue}>
              <Link href={`/queues/${queue}${may("browse") ? "/messages?state=ready" : ""}`} class="bar">
                <span class="bar-name mono clip">{queue}</span>
                {paused && <Badge state="paused" />}
                <span class="bar-value">
                  <Amount stats={stats} of="ready" /> ready
                </span>
                <strong>{duration(stats.oldest_ready_age ?? 0)}</strong>
                <i class="fill" style={{ width: `${width(stats.oldest_ready_age ?? 0)}%` }} />
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function DeadLetterCard({ seen }: { seen: Seen }) {
  return (
    <Card title="Dead letters" action={<Link href="/dead-letters">All</Link>}>
      <DeadLetterList seen={seen} none={<p class="quiet">None. What cannot be delivered shows here.</p>} />
    </Card>
  );
}

function TooSlow() {
  return (
    <p class="quiet">
      Not found within a second. Is a transaction open for long in the database? It keeps dead rows from
      going.
    </p>
  );
}

/** The queues that hold dead letters; `none` is shown where there are none, beside a redrive that has emptied the last. */
export function DeadLetterList({ seen, none }: { seen: Seen; none: ComponentChildren }) {
  const { may } = useAccess();
  const [redriving, setRedriving] = useState<string | null>(null);
  return (
    <>
      {seen.dead_letters === null ? <TooSlow /> : seen.dead_letters.length === 0 && none}
      <ul class="lines">
        {(seen.dead_letters ?? []).map((letters) => (
          <li key={letters.queue} class="line">
            <div class="line-text">
              <Link
                class="mono clip"
                href={`/queues/${letters.queue}${may("browse") ? "/dead-letters" : ""}`}
              >
                {letters.queue}
              </Link>
              <span class="faint clip">
                {letters.sources.length > 0 && `from ${letters.sources.join(", ")}`}
                {letters.stats.oldest_ready_age !== null &&
                  ` · oldest ${duration(letters.stats.oldest_ready_age)}`}
              </span>
            </div>
            <span class="dead-count">
              <strong>
                <Amount stats={letters.stats} of="total" />
              </strong>
              <Growth by={letters.growth} />
            </span>
            {may("manage") && (
              <Button
                icon="refresh"
                onClick={() => setRedriving(letters.queue)}
                aria-label={`Redrive ${letters.queue}`}
              >
                Redrive
              </Button>
            )}
          </li>
        ))}
      </ul>
      {redriving && (
        <Redrive
          queue={redriving}
          total={seen.dead_letters?.find(({ queue }) => queue === redriving)?.stats.total ?? 0}
          onClose={() => setRedriving(null)}
        />
      )}
    </>
  );
}

function Growth({ by }: { by: number }) {
  if (by === 0) return <span class="faint">no change in 1 h</span>;
  return (
    <span class={by > 0 ? "late" : "better"}>{`${by > 0 ? "+" : "−"}${short(Math.abs(by))} in 1 h`}</span>
  );
}
