import { Link } from "wouter-preact";
import { useOverview } from "../../api/overview";
import { Card } from "../../components/page/card";
import { PageHead } from "../../components/page/head";
import { Empty } from "../../components/states/empty";
import { Loading } from "../../components/states/loading";
import { ProblemNote } from "../../components/states/problem";
import { curl } from "../../curl";
import { DeadLetterList } from "./list";

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
          title="Queues with the most dead letters"
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
      A queue with a dead-letter queue moves messages there that its consumers fail to process, along with the
      reason:
    </Empty>
  );
}
