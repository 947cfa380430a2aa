import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { useAccess } from "../access";
import { answer, api, type Tagged, tagged, verbatim } from "../api/client";
import type { Matches, Message, Published, Subscription, SubscriptionFields } from "../api/schema";
import { Button, IconButton } from "../components/button";
import { CodeBox } from "../components/copy";
import { Confirm, FormDialog } from "../components/dialog";
import { type Change, ChangedElsewhere, type Editing, useEdited } from "../components/edited";
import { AreaField, TextField } from "../components/field";
import { FreshDialog } from "../components/fresh-dialog";
import { More } from "../components/more";
import { Card, PageHead } from "../components/page";
import { moreOf, type Page, usePages } from "../components/pages";
import { fieldProblem, ProblemNote } from "../components/problem";
import { Scroll } from "../components/scroll";
import { Badge, Empty, Loading } from "../components/states";
import { say } from "../components/toasts";
import { curl } from "../curl";
import { plural } from "../format";
import { pretty, readJson } from "../json";
import { BLANK, isReady, jsonFault, MessageFields, requestText } from "./send";
import { subscribed, subscriptionsFrom, type WithText } from "./subscriptions";

export function TopicScreen({ name }: { name: string }) {
  const { may } = useAccess();
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const [deleting, setDeleting] = useState(false);
  const path = { topic: name };
  const topic = useQuery({
    queryKey: ["topics", "one", name],
    queryFn: () => answer(api.GET("/v1/topics/{topic}", { params: { path } })),
  });
  if (topic.error && !topic.data) {
    return (
      <>
        <PageHead title={name} mono up={{ href: "/topics", name: "Topics" }} />
        <ProblemNote error={topic.error} again={() => topic.refetch()} />
      </>
    );
  }
  if (!topic.data) return <Loading />;
  return (
    <>
      <PageHead
        title={name}
        mono
        up={{ href: "/topics", name: "Topics" }}
        about={<span class="badge grey">{topic.data.type}</span>}
      >
        {may("manage") && (
          <Button kind="danger" onClick={() => setDeleting(true)}>
            Delete
          </Button>
        )}
      </PageHead>
      <div class="stack">
        <Subscriptions topic={name} />
        <TryMessage topic={name} fifo={topic.data.type === "fifo"} />
      </div>
      {deleting && (
        <Confirm
          title={`Delete ${name}`}
          action="Delete the topic"
          typed={name}
          onClose={() => setDeleting(false)}
          run={async () => {
            await answer(api.DELETE("/v1/topics/{topic}", { params: { path } }));
            say(`Deleted ${name}.`);
            navigate("/topics");
            await queries.invalidateQueries({ queryKey: ["topics"] });
          }}
        >
          <p>The topic goes with its subscriptions. Queues, and the copies in them, stay.</p>
        </Confirm>
      )}
    </>
  );
}

type Subscribed = WithText<Subscription>;

async function subscriptions(topic: string, cursor: string | undefined): Promise<Page<Subscribed>> {
  const params = { path: { topic }, query: { limit: 200, ...(cursor && { cursor }) } };
  const asked = api.GET("/v1/topics/{topic}/subscriptions", { params, parseAs: "text" });
  return subscriptionsFrom<Subscription>((await answer(asked)) as unknown as string);
}

function Subscriptions({ topic }: { topic: string }) {
  const { may } = useAccess();
  const queries = useQueryClient();
  const [edited, setEdited] = useState<Subscribed | "new" | null>(null);
  const [ending, setEnding] = useState<Subscription | null>(null);
  const list = usePages(["topics", "subscriptions", topic], (cursor) => subscriptions(topic, cursor), {
    seconds: 10,
  });
  return (
    <Card
      title="Who gets what"
      action={
        may("manage") && (
          <Button icon="plus" onClick={() => setEdited("new")}>
            Subscribe a queue
          </Button>
        )
      }
    >
      {list.error && !list.data ? (
        <ProblemNote error={list.error} />
      ) : list.isPending ? (
        <Loading rows={3} />
      ) : list.items.length === 0 ? (
        <p class="quiet">No queue subscribes: what is published goes nowhere.</p>
      ) : (
        <ul class="lines">
          {list.items.map((subscription) => (
            <li key={subscription.name} class="subscription">
              <div class="line">
                <div class="line-text">
                  <strong class="mono clip">{subscription.name}</strong>
                  <Link class="mono clip" href={`/queues/${subscription.queue}`}>
                    {subscription.queue}
                  </Link>
                </div>
                {may("manage") && (
                  <>
                    <Button onClick={() => setEdited(subscription)}>Edit</Button>
                    <IconButton
                      icon="close"
                      label={`End ${subscription.name}`}
                      onClick={() => setEnding(subscription)}
                    />
                  </>
                )}
              </div>
              {Object.keys(subscription.filter).length > 0 ? (
                <Scroll class="filter-text">{subscription.text}</Scroll>
              ) : (
                <p class="faint">Every message</p>
              )}
            </li>
          ))}
        </ul>
      )}
      <More {...moreOf(list)} />
      {edited === "new" && <SubscriptionDialog topic={topic} onClose={() => setEdited(null)} />}
      {edited !== null && edited !== "new" && (
        <EditDialog topic={topic} name={edited.name} onClose={() => setEdited(null)} />
      )}
      {ending && (
        <Confirm
          title={`End ${ending.name}`}
          action="End the subscription"
          onClose={() => setEnding(null)}
          run={async () => {
            const path = { topic, subscription: ending.name };
            await answer(api.DELETE("/v1/topics/{topic}/subscriptions/{subscription}", { params: { path } }));
            await queries.invalidateQueries({ queryKey: ["topics"] });
          }}
        >
          <p>
            <strong class="mono">{ending.queue}</strong> gets no further copies. Those that it has stay.
          </p>
        </Confirm>
      )}
    </Card>
  );
}

function EditDialog({ topic, name, onClose }: { topic: string; name: string; onClose: () => void }) {
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

/** What of a subscription can be changed, as text: a number of twenty digits in a condition stays what it is. */
function written(subscription: Subscribed | undefined): { queue: string; filter: string } {
  return { queue: subscription?.queue ?? "", filter: pretty(readJson(subscription?.text ?? "{}")) };
}

function SubscriptionDialog({ topic, editing, onClose }: SubscriptionProps) {
  const { now: subscription, etag, before, save } = useEdited(editing);
  const [name, setName] = useState(subscription?.name ?? "");
  // Only what was typed: what somebody else changes meanwhile shows in the other field.
  const [typed, setTyped] = useState<Partial<ReturnType<typeof written>>>({});
  const { queue, filter } = { ...written(subscription), ...typed };
  const queries = useQueryClient();
  const request = `{"queue": ${JSON.stringify(queue.trim())}, "filter": ${filter.trim() || "{}"}}`;
  const write = async () => {
    // Not over what somebody else has set meanwhile.
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
            hint='For instance {"headers": {"kind": ["order.paid"]}, "body": {"/total": [{"numeric": [">=", 100]}]}}; {} is every message'
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

/** Which queues a message would reach, and for the others what their filter misses; then, if one likes, publish it. */
function TryMessage({ topic, fifo }: { topic: string; fifo: boolean }) {
  const { may } = useAccess();
  const [draft, setDraft] = useState(BLANK);
  // With what it was asked for: an answer is not shown beside another message.
  const [matched, setMatched] = useState<{ request: string; matches: Matches } | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const request = requestText(draft);
  const options = {
    params: { path: { topic } },
    ...verbatim<Message>(request),
  };
  const attempt = async (event: Event) => {
    event.preventDefault();
    setError(null);
    await answer(api.POST("/v1/topics/{topic}/match", options))
      .then((matches) => setMatched({ request, matches }))
      .catch(setError);
  };
  const publish = async () => {
    setBusy(true);
    setError(null);
    await answer(api.POST("/v1/topics/{topic}/messages", options))
      .then((published: Published) => say(`Published to ${plural(published.delivered_to, "queue")}.`))
      .catch(setError);
    setBusy(false);
  };
  return (
    <Card title="Try a message">
      <div class="halves">
        <form class="stack" onSubmit={attempt}>
          <MessageFields
            draft={draft}
            fifo={fifo}
            error={error}
            change={(changes) => setDraft((old) => ({ ...old, ...changes }))}
          />
          <footer class="actions">
            <Button type="submit" kind="primary" disabled={!isReady(draft)}>
              Who would get it?
            </Button>
            {may("send") && (
              <Button icon="send" busy={busy} disabled={!isReady(draft)} onClick={publish}>
                Publish
              </Button>
            )}
          </footer>
          {error && <ProblemNote error={error} />}
        </form>
        <div class="stack">
          {matched?.request === request ? (
            <MatchList matches={matched.matches} />
          ) : (
            <p class="quiet">Asked here, a message goes nowhere: it is only held against the filters.</p>
          )}
          <details>
            <summary>As curl</summary>
            <CodeBox text={curl("POST", `/v1/topics/${topic}/match`, request)} />
          </details>
        </div>
      </div>
    </Card>
  );
}

function MatchList({ matches }: { matches: Matches }) {
  if (matches.subscriptions.length === 0) return <Empty title="No queue subscribes" />;
  return (
    <div role="status">
      <h3>{plural(matches.delivered_to, "queue")} would get it</h3>
      <ul class="lines">
        {matches.subscriptions.map((match) => (
          <li key={match.subscription} class="line">
            <div class="line-text">
              <span class="mono clip">{match.queue}</span>
              {match.failed && <span class="faint wrap">{match.failed}</span>}
            </div>
            <Badge state={match.matches ? "succeeded" : "disabled"}>
              {match.matches ? "gets it" : "does not"}
            </Badge>
          </li>
        ))}
      </ul>
    </div>
  );
}
