import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { useAccess } from "../access";
import { answer, api, tagged } from "../api/client";
import { every } from "../api/polling";
import type { Attempt, Webhook } from "../api/schema";
import { useAction } from "../components/action";
import { Button } from "../components/button";
import { Choice } from "../components/choice";
import { Confirm, Dialog, FormDialog } from "../components/dialog";
import { TextField } from "../components/field";
import { Listing } from "../components/listing";
import { ActionProblem, Card, Figure, PageHead } from "../components/page";
import { usePages } from "../components/pages";
import { fieldProblem, ProblemNote } from "../components/problem";
import { Badge, Empty, Loading } from "../components/states";
import type { Column } from "../components/table";
import { Ago, At } from "../components/time";
import { say } from "../components/toasts";
import { count, duration } from "../format";
import { useParams } from "../params";
import { AttemptDetail } from "./attempt";
import { TaskDialog } from "./task-progress";
import { percent, Secret, WebhookDialog } from "./webhooks";

/** The API's words for why a webhook rests. */
const REASONS: Record<string, string> = {
  circuit_open:
    "Ten attempts in a row failed. After the pause one message at a time is tried, until one succeeds.",
  retry_after: "Its receiver asked for a pause.",
  gone: "Its receiver answered 410, it wants no more.",
  "enabled is false": "It was switched off.",
};

type Open = "edit" | "rotate" | "retry" | "delete" | "test" | null;

const read = (queue: string, webhook: string) =>
  tagged(api.GET("/v1/queues/{queue}/webhooks/{webhook}", { params: { path: { queue, webhook } } }));

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
                  ? "One message at a time is pushed now."
                  : "Nothing is pushed now."}
              </strong>{" "}
              {REASONS[webhook.state_reason ?? ""] ?? webhook.state_reason}
              {webhook.until && (
                <>
                  {" "}
                  Until <At time={webhook.until} /> (<Ago time={webhook.until} />
                  ).
                </>
              )}
            </span>
          </p>
        )}
        <div class="figures">
          <Figure name="Success, last 1,000" tone={(webhook.success_rate ?? 1) < 0.95 ? "red" : "green"}>
            {percent(webhook.success_rate)}
          </Figure>
          <Figure name="Latency">{webhook.latency === null ? "–" : duration(webhook.latency)}</Figure>
          <Figure name="At once, at most">{count(webhook.max_concurrency)}</Figure>
          <Figure name="A second, at most">
            {webhook.rate_limit === null ? "no bound" : count(webhook.rate_limit)}
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

function Actions({ queue, webhook, etag }: { queue: string; webhook: Webhook; etag: string | null }) {
  const { may } = useAccess();
  const [open, setOpen] = useState<Open>(null);
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const path = { queue, webhook: webhook.name };
  const close = () => setOpen(null);
  const renew = () => queries.invalidateQueries({ queryKey: ["queues"] });
  const enable = useAction(async () => {
    const params = { path, header: etag ? { "If-Match": etag } : {} };
    await answer(api.PATCH("/v1/queues/{queue}/webhooks/{webhook}", { params, body: { enabled: true } }));
    say(`Enabled ${webhook.name}.`);
    await renew();
  });
  if (!may("manage")) return null;
  return (
    <>
      <Button kind="primary" icon="send" onClick={() => setOpen("test")}>
        Send a test
      </Button>
      <Button icon="refresh" onClick={() => setOpen("retry")}>
        Retry failed …
      </Button>
      {!webhook.enabled && (
        <Button icon="play" busy={enable.busy} onClick={enable.run}>
          Enable
        </Button>
      )}
      <Button onClick={() => setOpen("edit")}>Edit</Button>
      <Button onClick={() => setOpen("rotate")}>Rotate secret</Button>
      <Button kind="danger" onClick={() => setOpen("delete")}>
        Delete
      </Button>
      <ActionProblem error={enable.error} />
      {open === "edit" && (
        <WebhookDialog
          queue={queue}
          editing={{ seen: { found: webhook, etag }, read: () => read(queue, webhook.name) }}
          onClose={close}
        />
      )}
      {open === "rotate" && <Rotate queue={queue} webhook={webhook.name} onClose={close} />}
      {open === "retry" && <Retry queue={queue} webhook={webhook.name} onClose={close} />}
      {open === "test" && <Test queue={queue} webhook={webhook.name} onClose={close} />}
      {open === "delete" && (
        <Confirm
          title={`Delete ${webhook.name}`}
          action="Delete the webhook"
          onClose={close}
          run={async () => {
            await answer(api.DELETE("/v1/queues/{queue}/webhooks/{webhook}", { params: { path } }));
            say(`Deleted ${webhook.name}.`);
            navigate(`/queues/${queue}/webhooks`);
            await renew();
          }}
        >
          <p>
            Nothing is pushed to <strong class="mono wrap">{webhook.url}</strong> any more. Messages stay in{" "}
            <strong class="mono">{queue}</strong>; the secret and the attempts are forgotten.
          </p>
        </Confirm>
      )}
    </>
  );
}

function Test({ queue, webhook, onClose }: { queue: string; webhook: string; onClose: () => void }) {
  const { data, error } = useQuery({
    queryKey: ["test", queue, webhook],
    queryFn: () =>
      answer(
        api.POST("/v1/queues/{queue}/webhooks/{webhook}/test", { params: { path: { queue, webhook } } }),
      ),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    // It is a message that somebody gets: only pressing the button sends another.
    refetchOnWindowFocus: false,
    refetchInterval: false,
    retry: false,
  });
  return (
    <Dialog title="Test message" onClose={onClose}>
      {error ? <ProblemNote error={error} /> : data ? <AttemptDetail attempt={data} /> : <Loading rows={3} />}
    </Dialog>
  );
}

function Rotate({ queue, webhook, onClose }: { queue: string; webhook: string; onClose: () => void }) {
  const [overlap, setOverlap] = useState("86400");
  const [secret, setSecret] = useState<string | null>(null);
  const params = { path: { queue, webhook } };
  const rotate = async () => {
    const body = { overlap: Number(overlap) };
    const made = await answer(
      api.POST("/v1/queues/{queue}/webhooks/{webhook}/rotate-secret", { params, body }),
    );
    setSecret(made.secret);
  };
  if (secret !== null) return <Secret secret={secret} onClose={onClose} />;
  return (
    <FormDialog title="Rotate the secret" action="Rotate" run={rotate} stays onClose={onClose}>
      {(error) => (
        <>
          <p>A new secret is made. Requests are signed with both until the overlap ends.</p>
          <TextField
            label="Overlap, s"
            type="number"
            value={overlap}
            onValue={setOverlap}
            error={fieldProblem(error, "/overlap")}
            hint={duration(Number(overlap) || 0)}
          />
        </>
      )}
    </FormDialog>
  );
}

function Retry({ queue, webhook, onClose }: { queue: string; webhook: string; onClose: () => void }) {
  const [hours, setHours] = useState("24");
  const [task, setTask] = useState<string | null>(null);
  const params = { path: { queue, webhook } };
  const retry = async () => {
    const body = { failed_since: new Date(Date.now() - 3_600_000 * Number(hours)).toISOString() };
    const begun = await answer(api.POST("/v1/queues/{queue}/webhooks/{webhook}/retry", { params, body }));
    setTask(begun.id);
  };
  if (task !== null) return <TaskDialog title="Retry failed messages" id={task} onClose={onClose} />;
  return (
    <FormDialog
      title="Retry failed messages"
      action="Retry"
      ready={Number(hours) > 0}
      run={retry}
      stays
      onClose={onClose}
    >
      {() => (
        <>
          <p>
            What this webhook has failed to deliver, and that is dead-lettered or blocked since, goes back to{" "}
            <strong class="mono">{queue}</strong> and begins its attempts anew.
          </p>
          <TextField
            label="Failed within the last hours"
            type="number"
            value={hours}
            onValue={setHours}
            hint="Attempts are known for 7 days (168 hours)"
          />
        </>
      )}
    </FormDialog>
  );
}

function Attempts({ queue, webhook }: { queue: string; webhook: string }) {
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
        empty={<Empty title="No attempts">They are kept for seven days.</Empty>}
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
      head: "Answer",
      kind: "grow",
      cell: (attempt) => (
        <button type="button" class="link preview" onClick={() => show(attempt)}>
          <span class="clip">
            <strong>{attempt.status ?? attempt.error ?? "none"}</strong>{" "}
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
    { name: "took", head: "Took", kind: "number extra", cell: (attempt) => duration(attempt.duration) },
    { name: "begun", head: "Begun", kind: "number", cell: ({ started_at }) => <Ago time={started_at} /> },
  ];
}
