import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { useAccess } from "../../access";
import { answer, api, tagged } from "../../api/client";
import type { Webhook } from "../../api/schema";
import { Button } from "../../components/controls/button";
import { Confirm, Dialog, FormDialog } from "../../components/forms/dialog";
import { TextField } from "../../components/forms/field";
import { Loading } from "../../components/states/loading";
import { fieldProblem, ProblemNote } from "../../components/states/problem";
import { notify } from "../../components/states/toasts";
import { duration } from "../../format";
import { TaskForm } from "../tasks";
import { AttemptDetail } from "./attempt";
import { WebhookDialog } from "./form";
import { Secret } from "./secret";
import { ResumeWebhook } from "./stopped";

type Open = "edit" | "rotate" | "retry" | "delete" | "test" | null;

export const read = (queue: string, webhook: string) =>
  tagged(api.GET("/v1/queues/{queue}/webhooks/{webhook}", { params: { path: { queue, webhook } } }));

export function Actions({ queue, webhook, etag }: { queue: string; webhook: Webhook; etag: string | null }) {
  const { may } = useAccess();
  const [open, setOpen] = useState<Open>(null);
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const path = { queue, webhook: webhook.name };
  const close = () => setOpen(null);
  const renew = () => queries.invalidateQueries({ queryKey: ["queues"] });
  if (!may("manage")) return null;
  return (
    <>
      <Button kind="primary" icon="send" onClick={() => setOpen("test")}>
        Send a test
      </Button>
      <Button icon="refresh" onClick={() => setOpen("retry")}>
        Retry failed…
      </Button>
      <ResumeWebhook queue={queue} webhook={webhook} etag={etag} />
      <Button onClick={() => setOpen("edit")}>Edit</Button>
      <Button onClick={() => setOpen("rotate")}>Rotate secret</Button>
      <Button kind="danger" onClick={() => setOpen("delete")}>
        Delete
      </Button>
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
          action="Delete webhook"
          onClose={close}
          run={async () => {
            await answer(api.DELETE("/v1/queues/{queue}/webhooks/{webhook}", { params: { path } }));
            notify(`Deleted ${webhook.name}.`);
            navigate(`/queues/${queue}/webhooks`);
            await renew();
          }}
        >
          <p>
            Messages are no longer pushed to <strong class="mono wrap">{webhook.url}</strong>. They stay in{" "}
            <strong class="mono">{queue}</strong>. The secret and the attempts are deleted.
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
    // The receiver gets a real message, so only the button sends another one.
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
    <FormDialog title="Rotate secret" action="Rotate" run={rotate} stays onClose={onClose}>
      {(error) => (
        <>
          <p>This creates a new secret. Requests are signed with both secrets until the overlap ends.</p>
          <TextField
            label="Overlap (s)"
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
  const params = { path: { queue, webhook } };
  const retry = () => {
    const body = { failed_since: new Date(Date.now() - 3_600_000 * Number(hours)).toISOString() };
    return answer(api.POST("/v1/queues/{queue}/webhooks/{webhook}/retry", { params, body }));
  };
  return (
    <TaskForm
      title="Retry failed messages"
      action="Retry"
      ready={Number(hours) > 0}
      begin={retry}
      onClose={onClose}
    >
      {() => (
        <>
          <p>
            Messages that this webhook failed to deliver, and that have been dead-lettered or blocked since,
            go back to <strong class="mono">{queue}</strong> and start again with their first attempt.
          </p>
          <TextField
            label="Failed within the last (hours)"
            type="number"
            value={hours}
            onValue={setHours}
            hint="Attempts are kept for 7 days (168 hours)"
          />
        </>
      )}
    </TaskForm>
  );
}
