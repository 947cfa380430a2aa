import { Link } from "wouter-preact";
import { Card, PageHead } from "../components/page";
import { ProblemNote } from "../components/problem";
import { Empty, Loading } from "../components/states";
import { curl } from "../curl";
import { DeadLetterList, useOverview } from "./overview";

export function DeadLetters() {
  const { data, error, refetch } = useOverview();
  return (
    <>
      <PageHead title="Dead letters" />
      {!data ? (
        error ? (
          <ProblemNote error={error} again={() => refetch()} />
        ) : (
          <Loading />
        )
      ) : (
        <Card
          title="The ten queues that hold most"
          action={<Link href="/queues?dead_letters=true">All dead-letter queues</Link>}
        >
          <DeadLetterList seen={data} none={<None />} />
        </Card>
      )}
    </>
  );
}

function None() {
  return (
    <Empty
      title="No dead letters"
      curl={curl(
        "PATCH",
        "/v1/queues/orders",
        '{"dead_letter": {"queue": "orders-dead", "max_receives": 5}}',
      )}
    >
      A queue with a dead-letter queue moves there what its consumers fail to handle, with the reason:
    </Empty>
  );
}
