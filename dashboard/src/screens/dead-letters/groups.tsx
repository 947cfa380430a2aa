import { useQuery } from "@tanstack/preact-query";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAccess } from "../../access";
import { answer, api } from "../../api/client";
import { every } from "../../api/polling";
import type { DeadLetterGroup, FilterFields, Queue } from "../../api/schema";
import { Button } from "../../components/controls/button";
import { Card } from "../../components/page/card";
import { Empty } from "../../components/states/empty";
import { Loading } from "../../components/states/loading";
import { ProblemNote } from "../../components/states/problem";
import { type Column, Table } from "../../components/tables/table";
import { Ago } from "../../components/text/time";
import { curl } from "../../curl";
import { count, short } from "../../format";
import { ActOn } from "../messages";
import { Redrive } from "./redrive";

/** The dead letters in a queue, and those that came from it and are in its dead-letter queue. */
export function DeadLetterGroups({ queue }: { queue: Queue }) {
  const target = queue.dead_letter?.queue;
  return (
    <div class="stack">
      {target && (
        <GroupsIn
          queue={{ name: target, type: queue.type }}
          source={queue.name}
          title={`From this queue, in ${target}`}
          none={<p class="quiet">No messages from this queue are in its dead-letter queue {target}.</p>}
        />
      )}
      <GroupsIn
        queue={queue}
        total={queue.stats.total}
        title="By reason and last error"
        none={target ? null : <NoDeadLetters queue={queue.name} />}
      />
    </div>
  );
}

/** Dead letters grouped by source queue, reason and last error. */
function GroupsIn({
  queue,
  source,
  total,
  title,
  none,
}: {
  queue: Pick<Queue, "name" | "type">;
  /** Only dead letters from this queue. */
  source?: string;
  total?: number;
  title: string;
  none: ComponentChildren;
}) {
  const { may } = useAccess();
  const [redriving, setRedriving] = useState(false);
  const [acting, setActing] = useState<FilterFields | null>(null);
  const { data, error, refetch } = useQuery({
    queryKey: ["queues", "dead-letters", queue.name, source],
    queryFn: () =>
      answer(
        api.GET("/v1/queues/{queue}/dead-letters", {
          params: { path: { queue: queue.name }, query: source ? { source } : {} },
        }),
      ),
    refetchInterval: every(5),
  });
  if (!data) return error ? <ProblemNote error={error} again={() => refetch()} /> : <Loading />;
  const redrive = () => (source ? setActing({ "dead_letter.source_queue": source }) : setRedriving(true));
  return (
    <>
      {data.items.length === 0 ? (
        none
      ) : (
        <Card
          title={`${title}${data.complete ? "" : " (newest 10,000)"}`}
          label="Dead letters"
          action={
            may("manage") && (
              <Button kind="primary" icon="refresh" onClick={redrive}>
                Redrive…{" "}
              </Button>
            )
          }
        >
          <Table
            label="Dead letters"
            columns={[...columns(queue.name), ...(may("manage") ? [actColumn(setActing)] : [])]}
            items={data.items}
            keyOf={({ source_queue, reason, error }) => JSON.stringify([source_queue, reason, error])}
            rowHeight={52}
          />
        </Card>
      )}
      {redriving && <Redrive queue={queue.name} total={total ?? 0} onClose={() => setRedriving(false)} />}
      {acting && (
        <ActOn
          queue={queue}
          chosen={{ filter: acting }}
          start="redrive"
          title="Act on dead letters"
          onClose={() => setActing(null)}
        />
      )}
    </>
  );
}

/** Return the filter that selects the messages of a group. */
function filterOf({ source_queue, reason, error }: DeadLetterGroup): FilterFields {
  return {
    "dead_letter.source_queue": source_queue,
    "dead_letter.reason": reason as NonNullable<FilterFields["dead_letter.reason"]>,
    "dead_letter.error": error ?? "",
  };
}

function actColumn(act: (filter: FilterFields) => void): Column<DeadLetterGroup> {
  return {
    name: "act",
    head: <span class="hidden">Act</span>,
    cell: (group) => (
      <Button
        onClick={() => act(filterOf(group))}
        aria-label={`Act on ${group.reason}: ${group.error ?? "no error given"}`}
      >
        Act…
      </Button>
    ),
  };
}

function NoDeadLetters({ queue }: { queue: string }) {
  return (
    <Empty
      title="No dead letters here"
      curl={curl("PATCH", "/v1/queues/QUEUE", `{"dead_letter": {"queue": "${queue}", "max_receives": 5}}`)}
    >
      To collect dead letters here, set this queue as the dead-letter queue of another one:
    </Empty>
  );
}

function columns(queue: string): Column<DeadLetterGroup>[] {
  return [
    {
      name: "messages",
      head: "Messages",
      kind: "number",
      cell: ({ messages }) => <span title={count(messages)}>{short(messages)}</span>,
    },
    {
      name: "why",
      head: "Reason and last error",
      kind: "grow",
      cell: ({ reason, error, last_error, message_id }) => (
        <Link class="preview" href={`/queues/${queue}/messages/${message_id}`}>
          <span class="clip">{reason.replaceAll("_", " ")}</span>
          <span class="mono faint clip" title={last_error ?? ""}>
            {error ?? "no error given"}
          </span>
        </Link>
      ),
    },
    {
      name: "source",
      head: "From",
      kind: "extra",
      cell: ({ source_queue }) => (
        <Link class="mono clip" href={`/queues/${source_queue}`}>
          {source_queue}
        </Link>
      ),
    },
    {
      name: "newest",
      head: "Newest",
      kind: "number extra",
      cell: ({ newest_at }) => <Ago time={newest_at} />,
    },
    {
      name: "oldest",
      head: "Oldest",
      kind: "number extra",
      cell: ({ oldest_at }) => <Ago time={oldest_at} />,
    },
  ];
}
