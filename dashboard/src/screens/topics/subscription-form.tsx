import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answer, api, type Tagged, tagged, verbatim } from "../../api/client";
import type { SubscriptionFields } from "../../api/schema";
import { FormDialog } from "../../components/forms/dialog";
import { type Change, ChangedElsewhere, type Editing, useEdited } from "../../components/forms/edited";
import { AreaField, TextField } from "../../components/forms/field";
import { FreshDialog } from "../../components/forms/fresh-dialog";
import { fieldProblem } from "../../components/states/problem";
import { pretty, readJson } from "../../json";
import { jsonFault } from "../messages";
import { type Subscribed, subscribed } from "./subscription-text";

export function EditDialog({ topic, name, onClose }: { topic: string; name: string; onClose: () => void }) {
  const path = { topic, subscription: name };
  const read = async (): Promise<Tagged<Subscribed>> => {
    const asked = api.GET("/v1/topics/{topic}/subscriptions/{subscription}", {
      params: { path },
      parseAs: "text",
    });
    const { found, etag } = await tagged(asked);
    return { found: subscribed(found as unknown as string), etag };
  };
  return (
    <FreshDialog
      title={`Edit ${name}`}
      name={["topics", "subscription", topic, name]}
      read={read}
      onClose={onClose}
    >
      {(editing) => <SubscriptionDialog topic={topic} editing={editing} onClose={onClose} />}
    </FreshDialog>
  );
}

interface SubscriptionProps {
  topic: string;
  editing?: Editing<Subscribed>;
  onClose: () => void;
}

/** Return the editable fields of a subscription. The filter is kept as text, so that large numbers do not change. */
function written(subscription: Subscribed | undefined): { queue: string; filter: string } {
  return { queue: subscription?.queue ?? "", filter: pretty(readJson(subscription?.text ?? "{}")) };
}

export function SubscriptionDialog({ topic, editing, onClose }: SubscriptionProps) {
  const { now: subscription, etag, before, save } = useEdited(editing);
  const [name, setName] = useState(subscription?.name ?? "");
  // Only the edited fields. The other field shows its current value, including changes made elsewhere.
  const [typed, setTyped] = useState<Partial<ReturnType<typeof written>>>({});
  const { queue, filter } = { ...written(subscription), ...typed };
  const queries = useQueryClient();
  const request = `{"queue": ${JSON.stringify(queue.trim())}, "filter": ${filter.trim() || "{}"}}`;
  const write = async () => {
    // Do not overwrite changes made elsewhere.
    const header = etag ? { "If-Match": etag } : { "If-None-Match": "*" };
    const params = { path: { topic, subscription: name.trim() }, header };
    const body = verbatim<SubscriptionFields>(request);
    await save(answer(api.PUT("/v1/topics/{topic}/subscriptions/{subscription}", { params, ...body })));
    await queries.invalidateQueries({ queryKey: ["topics"] });
  };
  return (
    <FormDialog
      title={subscription ? `Edit ${subscription.name}` : "Subscribe a queue"}
      action="Save"
      ready={name.trim() !== "" && queue.trim() !== "" && jsonFault(filter) === null}
      run={write}
      onClose={onClose}
    >
      {(error) => (
        <>
          <TextField
            label="Name"
            mono
            required
            value={name}
            disabled={Boolean(subscription)}
            onValue={setName}
          />
          <TextField
            label="Queue"
            mono
            required
            value={queue}
            onValue={(value) => setTyped((old) => ({ ...old, queue: value }))}
            error={fieldProblem(error, "/queue")}
          />
          <AreaField
            label="Filter"
            rows={8}
            value={filter}
            onValue={(value) => setTyped((old) => ({ ...old, filter: value }))}
            error={jsonFault(filter) ?? fieldProblem(error, "/filter")}
            hint='For example {"headers": {"kind": ["order.paid"]}, "body": {"/total": [{"numeric": [">=", 100]}]}}; {} matches every message'
          />
          {before && <ChangedElsewhere changes={changes(before, subscription)} />}
        </>
      )}
    </FormDialog>
  );
}

function changes(before: Subscribed, now: Subscribed | undefined): Change[] {
  const all: Change[] = [
    ["queue", before.queue, now?.queue ?? ""],
    ["filter", before.text, now?.text ?? ""],
  ];
  return all.filter(([, was, is]) => was !== is);
}
