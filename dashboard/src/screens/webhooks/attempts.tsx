import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { answer, api } from "../../api/client";
import type { Attempt } from "../../api/schema";
import { Choice } from "../../components/controls/choice";
import { Dialog } from "../../components/forms/dialog";
import { Card } from "../../components/page/card";
import { Badge } from "../../components/states/badge";
import { Empty } from "../../components/states/empty";
import { Listing } from "../../components/tables/listing";
import { usePages } from "../../components/tables/pages";
import type { Column } from "../../components/tables/table";
import { Ago } from "../../components/text/time";
import { duration } from "../../format";
import { useParams } from "../../params";
import { AttemptDetail } from "./attempt";

export function Attempts({ queue, webhook }: { queue: string; webhook: string }) {
  const [param, setParam] = useParams<"outcome">();
  const [shown, setShown] = useState<Attempt | null>(null);
  const outcome = param("outcome") as "" | "succeeded" | "failed";
  const list = usePages(
    ["queues", "attempts", queue, webhook, outcome],
    (cursor) =>
      answer(
        api.GET("/v1/queues/{queue}/webhooks/{webhook}/attempts", {
          params: {
            path: { queue, webhook },
            query: { limit: 100, ...(outcome && { outcome }), ...(cursor && { cursor }) },
          },
        }),
      ),
    { seconds: 3 },
  );
  return (
    <Card
      title="Attempts"
      action={
        <Choice
          label="Which attempts"
          value={outcome}
          onValue={(value) => setParam({ outcome: value })}
          options={[
            ["", "All"],
            ["failed", "Failed"],
            ["succeeded", "Succeeded"],
          ]}
        />
      }
    >
      <Listing
        list={list}
        label="Attempts"
        columns={attemptColumns(queue, setShown)}
        keyOf={({ id }) => id}
        empty={<Empty title="No attempts">Attempts are kept for seven days.</Empty>}
      />
      {shown && (
        <Dialog title="Attempt" onClose={() => setShown(null)} wide>
          <AttemptDetail attempt={shown} />
        </Dialog>
      )}
    </Card>
  );
}

function attemptColumns(queue: string, show: (attempt: Attempt) => void): Column<Attempt>[] {
  return [
    { name: "outcome", head: "Outcome", cell: ({ outcome }) => <Badge state={outcome} /> },
    {
      name: "answer",
      head: "Response",
      kind: "grow",
      cell: (attempt) => (
        <button type="button" class="link preview" onClick={() => show(attempt)}>
          <span class="clip">
            <strong>{attempt.status ?? attempt.error ?? "no response"}</strong>{" "}
            <span class="mono faint">{attempt.response_excerpt.replaceAll(/\s+/g, " ").slice(0, 120)}</span>
          </span>
        </button>
      ),
    },
    {
      name: "message",
      head: "Message",
      kind: "extra",
      cell: ({ message_id }) => (
        <Link class="mono clip" href={`/queues/${queue}/messages/${message_id}`}>
          {message_id}
        </Link>
      ),
    },
    { name: "number", head: "No.", kind: "number extra", cell: ({ number }) => number },
    { name: "took", head: "Duration", kind: "number extra", cell: (attempt) => duration(attempt.duration) },
    { name: "begun", head: "Started", kind: "number", cell: ({ started_at }) => <Ago time={started_at} /> },
  ];
}
