import { useQueryClient } from "@tanstack/preact-query";
import { useAccess } from "../../access";
import { answer, api } from "../../api/client";
import type { Queue } from "../../api/schema";
import { useAction } from "../controls/action";
import { Button } from "../controls/button";
import { notify } from "../states/toasts";
import { ActionProblem } from "./head";

/** The button that pauses or resumes a queue, if the key may do that. */
export function PauseQueue({ queue }: { queue: Pick<Queue, "name" | "paused"> }) {
  const { may } = useAccess();
  const queries = useQueryClient();
  const pause = useAction(async () => {
    const params = { path: { queue: queue.name } };
    await answer(api.PATCH("/v1/queues/{queue}", { params, body: { paused: !queue.paused } }));
    notify(queue.paused ? "Resumed." : "Paused: sends are stored, but nothing is delivered.");
    await queries.invalidateQueries({ queryKey: ["queues"] });
  });
  if (!may("manage")) return null;
  return (
    <>
      <Button icon={queue.paused ? "play" : "pause"} busy={pause.busy} onClick={pause.run}>
        {queue.paused ? "Resume" : "Pause"}
      </Button>
      <ActionProblem error={pause.error} />
    </>
  );
}
