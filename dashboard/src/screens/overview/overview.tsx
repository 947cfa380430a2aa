import { Link } from "wouter-preact";
import { useAccess } from "../../access";
import { useOverview } from "../../api/overview";
import type { Database, Overview as Seen } from "../../api/schema";
import { RatesChart, recentRate } from "../../components/charts/rates";
import { Amount } from "../../components/charts/stats";
import { Card, Figure } from "../../components/page/card";
import { PageHead } from "../../components/page/head";
import { Badge } from "../../components/states/badge";
import { Empty } from "../../components/states/empty";
import { Loading } from "../../components/states/loading";
import { ProblemNote } from "../../components/states/problem";
import { curl } from "../../curl";
import { bytes, count, duration, rate } from "../../format";
import { DeadLetterList, TooSlow } from "../dead-letters";

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
              <Card title="Messages per second, last hour">
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
      Create a queue and send it a message, from the command line or on the screen{" "}
      <Link href="/queues">Queues</Link>.
    </Empty>
  );
}

function Figures({ seen }: { seen: Seen }) {
  const { activity, webhooks, database } = seen;
  const latest = (of: "sent" | "received" | "deleted") =>
    activity ? rate(recentRate(activity[of], activity.resolution, Date.parse(activity.start) / 1000)) : "–";
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

/** The database's latency. Also red when a transaction is open for long, which keeps dead rows from being removed. */
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

/** The queues whose oldest ready messages have waited longest. The length of a bar is the logarithm of the wait. */
function Waiting({ seen }: { seen: Seen }) {
  const { may } = useAccess();
  const longest = Math.max(...(seen.oldest ?? []).map(({ stats }) => stats.oldest_ready_age ?? 0), 1);
  const width = (age: number) => Math.max(2, (100 * Math.log1p(age)) / Math.log1p(longest));
  return (
    <Card title="Waiting longest" action={<Link href="/queues?sort=age">All queues</Link>}>
      {seen.oldest === null ? (
        <TooSlow />
      ) : seen.oldest.length === 0 ? (
        <p class="quiet">No messages are waiting: every queue is empty or its consumers keep up.</p>
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
      <DeadLetterList
        seen={seen}
        none={<p class="quiet">None. Messages that cannot be delivered appear here.</p>}
      />
    </Card>
  );
}
