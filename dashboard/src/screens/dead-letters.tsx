import { Card, PageHead } from "../components/page";
import { ProblemNote } from "../components/problem";
import { Empty, Loading } from "../components/states";
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
        <Card title="The ten queues that hold most">
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
      curl={`curl -X PATCH ${location.origin}/v1/queues/orders -H "Authorization: Bearer $KEY" \\\n  -d '{"dead_letter": {"queue": "orders-dead", "max_receives": 5}}'`}
    >
      A queue with a dead-letter queue moves there what its consumers fail to handle, with the reason:
    </Empty>
  );
}
