import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answer, api } from "../../api/client";
import { useDefaults } from "../../api/defaults";
import type { OnExhausted, Webhook, WebhookDefaults } from "../../api/schema";
import { FormDialog } from "../../components/forms/dialog";
import { ChangedElsewhere, difference, type Editing, useEdited } from "../../components/forms/edited";
import { AreaField, CheckField, SelectField, TextField } from "../../components/forms/field";
import { fieldProblem } from "../../components/states/problem";
import { configured, type Draft, differs, draftOf, fieldsOf } from "./draft";
import { Secret } from "./secret";

function set(webhook: Webhook): string {
  const names = Object.keys(webhook.headers);
  return names.length > 0 ? `Currently set: ${names.join(", ")}.` : "No headers are set.";
}

/** The fate of a message after its last attempt. */
const EXHAUSTED_HINTS: Record<OnExhausted, string> = {
  dead_letter: "Without a dead-letter queue, the message is kept until you retry it.",
  block: "The message stays in this queue. In a fifo queue, its group waits for it.",
  drop: "The message is lost: it does not move to a dead-letter queue, and it cannot be retried.",
};

/** The dialog that adds or edits a webhook. */
export function WebhookDialog(props: { queue: string; editing?: Editing<Webhook>; onClose: () => void }) {
  const { data: defaults } = useDefaults();
  return defaults ? <WebhookForm {...props} defaults={defaults.webhook} /> : null;
}

function WebhookForm({
  queue,
  editing,
  defaults,
  onClose,
}: {
  queue: string;
  editing?: Editing<Webhook>;
  defaults: WebhookDefaults;
  onClose: () => void;
}) {
  const queries = useQueryClient();
  const { now: webhook, etag, before, save } = useEdited(editing);
  const [name, setName] = useState(webhook?.name ?? "");
  // Only the edited fields. The others show the current values, including changes made elsewhere.
  const [typed, setTyped] = useState<Partial<Draft>>({});
  const draft = { ...draftOf(webhook ?? defaults), ...typed };
  const change = (changes: Partial<Draft>) => setTyped((old) => ({ ...old, ...changes }));
  const [secret, setSecret] = useState<string | null>(null);
  const write = async () => {
    const path = { queue, webhook: name.trim() };
    const body = fieldsOf(draft, (webhook ?? defaults).retry.jitter);
    // Send only what changed: the service applies its defaults, and a webhook disabled in the meantime stays disabled.
    const changed = Object.entries(body).filter(([field, value]) =>
      differs(webhook ?? defaults, field, value),
    );
    const changes = Object.fromEntries(changed);
    if (webhook) {
      const params = { path, header: etag ? { "If-Match": etag } : {} };
      await save(answer(api.PATCH("/v1/queues/{queue}/webhooks/{webhook}", { params, body: changes })));
    } else {
      const params = { path, header: { "If-None-Match": "*" } };
      const made = await answer(
        api.PUT("/v1/queues/{queue}/webhooks/{webhook}", { params, body: { ...changes, url: body.url } }),
      );
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
              label="Payload"
              value={draft.mode}
              onValue={(mode) => change({ mode })}
              options={[
                ["raw", "The body unchanged"],
                ["envelope", "JSON with id, headers and body"],
                ["cloudevents", "CloudEvents 1.0"],
              ]}
            />
            <TextField
              label="Timeout (s)"
              type="number"
              value={draft.timeout}
              onValue={(timeout) => change({ timeout })}
              error={fieldProblem(error, "/timeout")}
            />
            <TextField
              label="Concurrent requests"
              type="number"
              value={draft.concurrency}
              onValue={(concurrency) => change({ concurrency })}
              error={fieldProblem(error, "/max_concurrency")}
            />
            <TextField
              label="Requests per second"
              type="number"
              value={draft.rateLimit}
              onValue={(rateLimit) => change({ rateLimit })}
              error={fieldProblem(error, "/rate_limit")}
              hint="Leave empty for no limit"
            />
            <TextField
              label="Retry delays (s)"
              mono
              value={draft.delays}
              onValue={(delays) => change({ delays })}
              error={fieldProblem(error, "/retry/delays")}
              hint="The pause before each retry, separated by commas"
            />
            <SelectField
              label="When all attempts have failed"
              value={draft.exhausted}
              onValue={(exhausted) => change({ exhausted })}
              hint={EXHAUSTED_HINTS[draft.exhausted]}
              options={[
                ["dead_letter", "Move to the dead-letter queue"],
                ["block", "Keep it until you retry it"],
                ["drop", "Drop it"],
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
                ? `${set(webhook)} What you enter here replaces all of them. Leave empty to keep them.`
                : "One “name: value” per line. The values are never shown again."
            }
          />
          {webhook && Object.keys(webhook.headers).length > 0 && (
            <CheckField
              label="Remove all headers"
              checked={draft.removeHeaders}
              onChecked={(removeHeaders) => change({ removeHeaders })}
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
