import { useQuery } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAccess } from "../access";
import { answer, api } from "../api/client";
import { every } from "../api/polling";
import type { DeadLetterGroup, Queue } from "../api/schema";
import { Button } from "../components/button";
import { Card } from "../components/page";
import { ProblemNote } from "../components/problem";
import { Empty, Loading } from "../components/states";
import { type Column, Table } from "../components/table";
import { Ago } from "../components/time";
import { curl } from "../curl";
import { count } from "../format";
import { Redrive } from "./redrive";

/** What a dead-letter queue holds, by where it came from, why, and what the last consumer said. */
export function DeadLetterGroups({ queue }: { queue: Queue }) {
  const { may } = useAccess();
  const [redriving, setRedriving] = useState(false);
  const { data, error, refetch } = useQuery({
    queryKey: ["queues", "dead-letters", queue.name],
    queryFn: () =>
      answer(api.GET("/v1/queues/{queue}/dead-letters", { params: { path: { queue: queue.name } } })),
    refetchInterval: every(5),
  });
  if (!data) return error ? <ProblemNote error={error} again={() => refetch()} /> : <Loading />;
  return (
    <>
      {data.items.length === 0 ? (
        <NoDeadLetters queue={queue.name} />
      ) : (
        <Card
          title={`By reason and last error${data.complete ? "" : ", of the newest 10,000"}`}
          label="Dead letters"
          action={
            may("manage") && (
              <Button kind="primary" icon="refresh" onClick={() => setRedriving(true)}>
                Redrive …
              </Button>
            )
          }
        >
          <Table
            label="Dead letters"
            columns={columns(queue.name)}
            items={data.items}
            keyOf={({ source_queue, reason, last_error }) =>
              JSON.stringify([source_queue, reason, last_error])
            }
            rowHeight={52}
          />
        </Card>
      )}
      {redriving && (
        <Redrive queue={queue.name} total={queue.stats.total} onClose={() => setRedriving(false)} />
      )}
    </>
  );
}

function NoDeadLetters({ queue }: { queue: string }) {
  return (
    <Empty
      title="No dead letters here"
      curl={curl("PATCH", "/v1/queues/QUEUE", `{"dead_letter": {"queue": "${queue}", "max_receives": 5}}`)}
    >
      A queue that names this one as its dead-letter queue sends what cannot be delivered here:
    </Empty>
  );
}

function columns(queue: string): Column<DeadLetterGroup>[] {
  return [
    {
      name: "messages",
      head: "Messages",
      kind: "number",
      cell: ({ messages }) => count(messages),
    },
    {
      name: "why",
      head: "Reason and last error",
      kind: "grow",
      cell: ({ reason, last_error, message_id }) => (
        <Link class="preview" href={`/queues/${queue}/messages/${message_id}`}>
          <span class="clip">{reason.replaceAll("_", " ")}</span>
          <span class="mono faint clip">{last_error ?? "no error given"}</span>
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
    { name: "newest", head: "Newest", kind: "number", cell: ({ newest_at }) => <Ago time={newest_at} /> },
    {
      name: "oldest",
      head: "Oldest",
      kind: "number extra",
      cell: ({ oldest_at }) => <Ago time={oldest_at} />,
    },
  ];
}
