/** The routes. Paths are below /dashboard, and filters are in the query, so that a view can be shared as a link. */

import { Link, Route, Switch } from "wouter-preact";
import { Empty } from "../components/states/empty";
import { DeadLetters } from "./dead-letters";
import { Keys } from "./keys";
import { Overview } from "./overview";
import { Playground } from "./playground";
import { Projects } from "./projects";
import { QueueScreen, Queues } from "./queues";
import { Tasks } from "./tasks";
import { TopicScreen, Topics } from "./topics";
import { WebhookScreen, Webhooks } from "./webhooks";

export function Screens() {
  return (
    <Switch>
      <Route path="/" component={Overview} />
      <Route path="/queues" component={Queues} />
      <Route path="/queues/:queue/webhooks/:webhook">
        {({ queue, webhook }) => (
          <WebhookScreen queue={queue} webhook={webhook} key={`${queue} ${webhook}`} />
        )}
      </Route>
      <Route<{ queue: string; tab?: string; id?: string }> path="/queues/:queue/:tab?/:id?">
        {({ queue, tab, id }) => <QueueScreen name={queue} tab={tab ?? ""} id={id} key={queue} />}
      </Route>
      <Route path="/dead-letters" component={DeadLetters} />
      <Route path="/topics" component={Topics} />
      <Route path="/topics/:topic">{({ topic }) => <TopicScreen name={topic} key={topic} />}</Route>
      <Route path="/webhooks" component={Webhooks} />
      <Route path="/tasks" component={Tasks} />
      <Route path="/keys" component={Keys} />
      <Route path="/projects" component={Projects} />
      <Route path="/playground" component={Playground} />
      <Route>
        <Empty title="Page not found">
          <Link href="/">Go to the overview</Link>
        </Empty>
      </Route>
    </Switch>
  );
}
