import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAccess } from "../../access";
import { answer, api } from "../../api/client";
import type { Subscription } from "../../api/schema";
import { Button, IconButton } from "../../components/controls/button";
import { Confirm } from "../../components/forms/dialog";
import { Card } from "../../components/page/card";
import { Loading } from "../../components/states/loading";
import { ProblemNote } from "../../components/states/problem";
import { More } from "../../components/tables/more";
import { moreOf, type Page, usePages } from "../../components/tables/pages";
import { Scroll } from "../../components/text/scroll";
import { EditDialog, SubscriptionDialog } from "./subscription-form";
import { type Subscribed, subscriptionsFrom } from "./subscription-text";

async function subscriptions(topic: string, cursor: string | undefined): Promise<Page<Subscribed>> {
  const params = { path: { topic }, query: { limit: 200, ...(cursor && { cursor }) } };
  const asked = api.GET("/v1/topics/{topic}/subscriptions", { params, parseAs: "text" });
  return subscriptionsFrom<Subscription>((await answer(asked)) as unknown as string);
}

export function Subscriptions({ topic }: { topic: string }) {
  const { may } = useAccess();
  const queries = useQueryClient();
  const [edited, setEdited] = useState<Subscribed | "new" | null>(null);
  const [ending, setEnding] = useState<Subscription | null>(null);
  const list = usePages(["topics", "subscriptions", topic], (cursor) => subscriptions(topic, cursor), {
    seconds: 10,
  });
  return (
    <Card
      title="Subscriptions"
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
        <p class="quiet">No queues are subscribed, so published messages are not stored anywhere.</p>
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
                      label={`Remove ${subscription.name}`}
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
          title={`Remove ${ending.name}`}
          action="Remove subscription"
          onClose={() => setEnding(null)}
          run={async () => {
            const path = { topic, subscription: ending.name };
            await answer(api.DELETE("/v1/topics/{topic}/subscriptions/{subscription}", { params: { path } }));
            await queries.invalidateQueries({ queryKey: ["topics"] });
          }}
        >
          <p>
            <strong class="mono">{ending.queue}</strong> receives no more copies. Messages already in it are
            kept.
          </p>
        </Confirm>
      )}
    </Card>
  );
}
