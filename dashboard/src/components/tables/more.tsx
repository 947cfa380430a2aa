import { Button } from "../controls/button";
import { ProblemNote } from "../states/problem";

export interface MoreProps {
  load: () => void;
  loading: boolean;
  has: boolean;
  error: Error | null;
}

/** The end of a list that has more pages. */
export function More({ load, loading, has, error }: MoreProps) {
  if (!has) return null;
  return (
    <div class="more">
      {error && <ProblemNote error={error} />}
      <Button busy={loading} onClick={load}>
        {loading ? "Loading…" : "Load more"}
      </Button>
    </div>
  );
}
