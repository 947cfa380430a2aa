import { useQuery } from "@tanstack/preact-query";
import { useMemo } from "preact/hooks";
import { answer, api, ProblemError } from "../../api/client";
import { every } from "../../api/polling";
import type { Queue, WholeMessage } from "../../api/schema";
import { REPORTS_GONE } from "../../api/stale";
import { Card } from "../../components/page/card";
import { PageHead } from "../../components/page/head";
import { Badge } from "../../components/states/badge";
import { Loading } from "../../components/states/loading";
import { ProblemNote } from "../../components/states/problem";
import { type Body, BodyView } from "../../components/text/body";
import { CopyButton } from "../../components/text/copy";
import { Ago } from "../../components/text/time";
import { memberText } from "../../json";
import { MessageAttempts } from "../webhooks";
import { Actions, type Seen } from "./actions";
import { Facts, Headers, History } from "./facts";
import { Why } from "./waiting";

export function MessageScreen({ queue, id }: { queue: Queue; id: string }) {
  const list = `/queues/${queue.name}/messages`;
  const { data, error, refetch } = useQuery({
    queryKey: ["queues", "message", queue.name, id],
    queryFn: () => look(queue.name, id),
    refetchInterval: every(3),
    meta: REPORTS_GONE,
  });
  const head = <PageHead title={id} mono up={{ href: list, name: `Messages of ${queue.name}` }} />;
  if (error && !data) {
    return (
      <>
        {head}
        <ProblemNote error={error} again={() => refetch()} />
      </>
    );
  }
  if (!data) return <Loading />;
  const gone = error instanceof ProblemError && error.gone;
  return (
    <>
      <PageHead
        title={id}
        mono
        up={{ href: list, name: `Messages of ${queue.name}` }}
        about={<About message={data.message} gone={gone} />}
      >
        <Actions queue={queue} seen={data} gone={gone} />
      </PageHead>
      <div class="stack">
        {gone ? <Gone /> : <Why queue={queue.name} message={data.message} />}
        <div class="aside">
          <Card title="Body">
            <SteadyBody body={data.body} />
          </Card>
          <div class="stack">
            <Facts message={data.message} queue={queue} />
            <Headers headers={data.message.headers} />
            <History message={data.message} />
            <MessageAttempts queue={queue.name} id={id} />
          </div>
        </div>
      </div>
    </>
  );
}

/** Fetch a message. The response is parsed as an object, and its body is also kept as text. */
async function look(queue: string, id: string): Promise<Seen> {
  const text = (await answer(
    api.GET("/v1/queues/{queue}/messages/{message_id}", {
      params: { path: { queue, message_id: id } },
      parseAs: "text",
    }),
  )) as unknown as string;
  const message = JSON.parse(text) as WholeMessage;
  const json = memberText(text, "body");
  if (json !== null && !message.body_base64) return { message, body: { json } };
  return {
    message,
    body: { bytes: Uint8Array.from(atob(message.body_base64 ?? ""), (sign) => sign.charCodeAt(0)) },
  };
}

/** A body never changes, so its opened parts stay open when the message is refreshed. */
function SteadyBody({ body }: { body: Body }) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: keeps the first body
  const steady = useMemo(() => body, []);
  return <BodyView body={steady} />;
}

function About({ message, gone }: { message: WholeMessage; gone: boolean }) {
  return (
    <>
      {gone ? <Badge state="gone" /> : <Badge state={message.state} />}
      <span>
        sent <Ago time={message.sent_at} />
      </span>
      <CopyButton text={message.id} label="Copy the id" />
    </>
  );
}

function Gone() {
  return (
    <p class="note" role="note">
      <span>
        <strong>It is gone:</strong> the message was deleted or moved, or it has expired. You are seeing its
        last known state.
      </span>
    </p>
  );
}
