import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { useAccess } from "../../access";
import { answer, api } from "../../api/client";
import { Button } from "../../components/controls/button";
import { Confirm } from "../../components/forms/dialog";
import { PageHead } from "../../components/page/head";
import { Loading } from "../../components/states/loading";
import { ProblemNote } from "../../components/states/problem";
import { notify } from "../../components/states/toasts";
import { Subscriptions } from "./subscriptions";
import { TryMessage } from "./try-message";

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
          action="Delete topic"
          typed={name}
          onClose={() => setDeleting(false)}
          run={async () => {
            await answer(api.DELETE("/v1/topics/{topic}", { params: { path } }));
            notify(`Deleted ${name}.`);
            navigate("/topics");
            await queries.invalidateQueries({ queryKey: ["topics"] });
          }}
        >
          <p>This deletes the topic and its subscriptions. The queues and the messages in them are kept.</p>
        </Confirm>
      )}
    </>
  );
}
