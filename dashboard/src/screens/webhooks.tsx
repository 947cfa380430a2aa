import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAccess } from "../access";
import { answer, api } from "../api/client";
import type { OnExhausted, Queue, Webhook, WebhookMode } from "../api/schema";
import { Button } from "../components/button";
import { CodeBox } from "../components/copy";
import { Dialog, Done, FormDialog } from "../components/dialog";
import { ChangedElsewhere, difference, type Editing, useEdited } from "../components/edited";
import { AreaField, CheckField, SelectField, TextField } from "../components/field";
import { Listing } from "../components/listing";
import { PageHead } from "../components/page";
import { usePages } from "../components/pages";
import { fieldProblem } from "../components/problem";
import { Badge, Empty } from "../components/states";
import type { Column } from "../components/table";
import { curl } from "../curl";
import { duration } from "../format";
import { useParams } from "../params";
import { headersOf } from "./send";

type Listed = Webhook & { queue: string };

/** The webhooks of all queues: those that do not work can be looked for. */
export function Webhooks() {
  const [param, setParam] = useParams<"state">();
  const state = param("state") as "" | "active" | "paused" | "circuit_open" | "disabled";
  const list = usePages(
    ["queues", "all webhooks", state],
    (cursor) =>
      answer(
        api.GET("/v1/webhooks", {
          params: { query: { limit: 100, ...(state && { state }), ...(cursor && { cursor }) } },
        }),
      ),
    { seconds: 5 },
  );
  return (
    <>
      <PageHead title="Webhooks" />
      <div class="toolbar">
        <label class="inline">
          <span>State</span>
          <select value={state} onChange={(event) => setParam({ state: event.currentTarget.value })}>
            <option value="">Any</option>
            <option value="active">Active</option>
            <option value="paused">Paused</option>
            <option value="circuit_open">Circuit open</option>
            <option value="disabled">Disabled</option>
          </select>
        </label>
      </div>
      <Listing
        list={list}
        {...table([NAME, QUEUE, ...COLUMNS])}
        empty={
          <Empty title={state ? "No webhook is in this state" : "No webhooks yet"} curl={example("orders")}>
            A queue with a webhook calls you: signed requests, retried until your answer is 2xx.
          </Empty>
        }
      />
    </>
  );
}

export function QueueWebhooks({ queue }: { queue: Queue }) {
  const { may } = useAccess();
  const [creating, setCreating] = useState(false);
  const list = usePages(
    ["queues", "webhooks", queue.name],
    async (cursor) => {
      const params = { path: { queue: queue.name }, query: { limit: 100, ...(cursor && { cursor }) } };
      const page = await answer(api.GET("/v1/queues/{queue}/webhooks", { params }));
      return { ...page, items: page.items.map((webhook): Listed => ({ ...webhook, queue: queue.name })) };
    },
    { seconds: 5 },
  );
  return (
    <div class="stack">
      {may("manage") && (
        <div class="toolbar">
          <Button icon="plus" onClick={() => setCreating(true)}>
            Add webhook
          </Button>
        </div>
      )}
      <Listing
        list={list}
        {...table([NAME, ...COLUMNS])}
        empty={
          <Empty title="No webhooks" curl={example(queue.name)}>
            Consumers of this queue ask for messages. With a webhook, the queue calls them:
          </Empty>
        }
      />
      {creating && <WebhookDialog queue={queue.name} onClose={() => setCreating(false)} />}
    </div>
  );
}

function table(columns: readonly Column<Listed>[]) {
  return {
    label: "Webhooks",
    columns,
    rowHeight: 52,
    keyOf: ({ queue, name }: Listed) => `${queue} ${name}`,
  };
}

const NAME: Column<Listed> = {
  name: "name",
  head: "Webhook",
  kind: "grow",
  cell: ({ queue, name, url }) => (
    <Link class="preview" href={`/queues/${queue}/webhooks/${name}`}>
      <span class="mono clip">{name}</span>
      <span class="faint clip">{url}</span>
    </Link>
  ),
};

const QUEUE: Column<Listed> = {
  name: "queue",
  head: "Queue",
  kind: "extra",
  cell: ({ queue }) => (
    <Link class="mono clip" href={`/queues/${queue}`}>
      {queue}
    </Link>
  ),
};

const COLUMNS: Column<Listed>[] = [
  { name: "state", head: "State", cell: ({ state }) => <Badge state={state} /> },
  { name: "success", head: "Success", kind: "number", cell: ({ success_rate }) => percent(success_rate) },
  {
    name: "latency",
    head: "Latency",
    kind: "number extra",
    cell: ({ latency }) => (latency === null ? "–" : duration(latency)),
  },
];

export function percent(part: number | null): string {
  return part === null ? "–" : `${(100 * part).toFixed(part === 1 ? 0 : 1)} %`;
}

const numbers = (list: string): number[] =>
  list
    .split(",")
    .filter((part) => part.trim())
    .map(Number);

function set(webhook: Webhook): string {
  const names = Object.keys(webhook.headers);
  return names.length > 0 ? `Set: ${names.join(", ")}.` : "None is set.";
}

/** A configuration as it is typed. Of headers the values are never shown: left empty, they stay. */
interface Draft {
  url: string;
  mode: WebhookMode;
  timeout: string;
  concurrency: string;
  rateLimit: string;
  delays: string;
  exhausted: OnExhausted;
  enabled: boolean;
  headers: string;
  /** Whether those that are set go. */
  headersGo: boolean;
}

const NEW: Draft = {
  url: "",
  mode: "raw",
  timeout: "15",
  concurrency: "10",
  rateLimit: "",
  delays: "5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800",
  exhausted: "dead_letter",
  enabled: true,
  headers: "",
  headersGo: false,
};

function draftOf(webhook: Webhook): Draft {
  return {
    url: webhook.url,
    mode: webhook.mode,
    timeout: String(webhook.timeout),
    concurrency: String(webhook.max_concurrency),
    rateLimit: webhook.rate_limit === null ? "" : String(webhook.rate_limit),
    delays: webhook.retry.delays.join(", "),
    exhausted: webhook.on_exhausted,
    enabled: webhook.enabled,
    headers: "",
    headersGo: false,
  };
}

/** The configuration that a draft stands for. */
function fieldsOf(draft: Draft, jitter: number) {
  return {
    url: draft.url.trim(),
    mode: draft.mode,
    timeout: Number(draft.timeout),
    max_concurrency: Number(draft.concurrency),
    rate_limit: draft.rateLimit.trim() ? Number(draft.rateLimit) : null,
    retry: { delays: numbers(draft.delays), jitter },
    on_exhausted: draft.exhausted,
    enabled: draft.enabled,
    ...((draft.headersGo || draft.headers.trim()) && { headers: headersOf(draft.headers) }),
  };
}

/** What of a webhook is configured, as far as it is shown. */
function configured(webhook: Webhook) {
  const { url, mode, timeout, max_concurrency, rate_limit, retry, on_exhausted, enabled } = webhook;
  const headers = Object.keys(webhook.headers);
  return { url, mode, timeout, max_concurrency, rate_limit, retry, on_exhausted, enabled, headers };
}

function differs(webhook: Webhook, field: string, value: unknown): boolean {
  return field === "headers" || JSON.stringify(webhook[field as keyof Webhook]) !== JSON.stringify(value);
}

/** Adding a webhook, or changing one. */
export function WebhookDialog({
  queue,
  editing,
  onClose,
}: {
  queue: string;
  editing?: Editing<Webhook>;
  onClose: () => void;
}) {
  const queries = useQueryClient();
  const { now: webhook, etag, before, save } = useEdited(editing);
  const [name, setName] = useState(webhook?.name ?? "");
  // Only what was typed: what somebody else changes meanwhile shows in the other fields.
  const [typed, setTyped] = useState<Partial<Draft>>({});
  const draft = { ...(webhook ? draftOf(webhook) : NEW), ...typed };
  const change = (changes: Partial<Draft>) => setTyped((old) => ({ ...old, ...changes }));
  const [secret, setSecret] = useState<string | null>(null);
  const write = async () => {
    const path = { queue, webhook: name.trim() };
    const body = fieldsOf(draft, webhook?.retry.jitter ?? 0.2);
    if (webhook) {
      // Only what was changed: a webhook that its receiver has meanwhile disabled stays so.
      const params = { path, header: etag ? { "If-Match": etag } : {} };
      const changed = Object.entries(body).filter(([field, value]) => differs(webhook, field, value));
      const changes = Object.fromEntries(changed);
      await save(answer(api.PATCH("/v1/queues/{queue}/webhooks/{webhook}", { params, body: changes })));
    } else {
      const params = { path, header: { "If-None-Match": "*" } };
      const made = await answer(api.PUT("/v1/queues/{queue}/webhooks/{webhook}", { params, body }));
      setSecret((made as Webhook & { secret: string }).secret);
    }
    await queries.invalidateQueries({ queryKey: ["queues"] });
  };
  if (secret !== null) return <Secret secret={secret} onClose={onClose} />;
  return (
    <FormDialog
      title={webhook ? `Edit ${webhook.name}` : "Add webhook"}
      action={webhook ? "Save" : "Add webhook"}
      ready={name.trim() !== "" && draft.url.trim() !== ""}
      run={write}
      stays={!webhook}
      onClose={onClose}
      wide
    >
      {(error) => (
        <>
          <TextField label="Name" mono required value={name} disabled={Boolean(webhook)} onValue={setName} />
          <TextField
            label="URL"
            type="url"
            mono
            required
            value={draft.url}
            onValue={(url) => change({ url })}
            error={fieldProblem(error, "/url")}
            placeholder="https://shop.example/hooks"
          />
          <div class="columns">
            <SelectField
              label="Sends"
              value={draft.mode}
              onValue={(mode) => change({ mode })}
              options={[
                ["raw", "The body as it is"],
                ["envelope", "JSON with id, headers and body"],
                ["cloudevents", "CloudEvents 1.0"],
              ]}
            />
            <TextField
              label="Timeout, s"
              type="number"
              value={draft.timeout}
              onValue={(timeout) => change({ timeout })}
              error={fieldProblem(error, "/timeout")}
            />
            <TextField
              label="Requests at once"
              type="number"
              value={draft.concurrency}
              onValue={(concurrency) => change({ concurrency })}
              error={fieldProblem(error, "/max_concurrency")}
            />
            <TextField
              label="Requests a second"
              type="number"
              value={draft.rateLimit}
              onValue={(rateLimit) => change({ rateLimit })}
              error={fieldProblem(error, "/rate_limit")}
              hint="Empty: no bound"
            />
            <TextField
              label="Retry after, s"
              mono
              value={draft.delays}
              onValue={(delays) => change({ delays })}
              error={fieldProblem(error, "/retry/delays")}
              hint="One pause before each further attempt"
            />
            <SelectField
              label="When all attempts have failed"
              value={draft.exhausted}
              onValue={(exhausted) => change({ exhausted })}
              options={[
                ["dead_letter", "Move to the dead-letter queue"],
                ["block", "Keep it until a retry"],
              ]}
            />
          </div>
          <AreaField
            label="Headers"
            rows={2}
            value={draft.headers}
            onValue={(headers) => change({ headers })}
            error={fieldProblem(error, "/headers")}
            placeholder="X-Api-Key: …"
            hint={
              webhook
                ? `${set(webhook)} What is written here replaces them all; empty: they stay.`
                : "One name: value a line; values are never shown again"
            }
          />
          {webhook && Object.keys(webhook.headers).length > 0 && (
            <CheckField
              label="Remove the headers that are set"
              checked={draft.headersGo}
              onChecked={(headersGo) => change({ headersGo })}
            />
          )}
          <CheckField label="Enabled" checked={draft.enabled} onChecked={(enabled) => change({ enabled })} />
          {before && webhook && (
            <ChangedElsewhere changes={difference(configured(before), configured(webhook))} />
          )}
        </>
      )}
    </FormDialog>
  );
}

export function Secret({ secret, onClose }: { secret: string; onClose: () => void }) {
  return (
    <Dialog title="The signing secret" onClose={onClose} kept>
      <div class="stack">
        <p>Shown this once. Your receiver checks signatures with it (Standard Webhooks).</p>
        <CodeBox text={secret} label="Copy the secret" />
        <Done onClose={onClose}>I have it</Done>
      </div>
    </Dialog>
  );
}

function example(queue: string): string {
  return curl("PUT", `/v1/queues/${queue}/webhooks/shop`, '{"url": "https://shop.example/hooks"}');
}
