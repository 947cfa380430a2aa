import { Link } from "wouter-preact";
import { answer, api } from "../../api/client";
import type { QueueSubscription } from "../../api/schema";
import { Card } from "../../components/page/card";
import { More } from "../../components/tables/more";
import { moreOf, usePages } from "../../components/tables/pages";
import { CodeBox } from "../../components/text/copy";
import { subscriptionsFrom } from "../topics";

/** The topics whose messages are copied to this queue. */
export function Feeds({ queue }: { queue: string }) {
  const list = usePages(["queues", "subscriptions", queue], async (cursor) => {
    const params = { path: { queue }, query: { limit: 100, ...(cursor && { cursor }) } };
    const asked = api.GET("/v1/queues/{queue}/subscriptions", { params, parseAs: "text" });
    return subscriptionsFrom<QueueSubscription>((await answer(asked)) as unknown as string);
  });
  if (list.items.length === 0) return null;
  return (
    <Card title="Topic subscriptions">
      <ul class="lines">
        {list.items.map((subscription) => (
          <li key={`${subscription.topic} ${subscription.name}`}>
            <Link class="mono" href={`/topics/${subscription.topic}`}>
              {subscription.topic}
            </Link>{" "}
            as <span class="mono">{subscription.name}</span>
            {Object.keys(subscription.filter).length > 0 && <CodeBox text={subscription.text} />}
          </li>
        ))}
      </ul>
      <More {...moreOf(list)} />
    </Card>
  );
}
