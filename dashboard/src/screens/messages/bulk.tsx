import { answer, api } from "../../api/client";
import { notify } from "../../components/states/toasts";
import { BulkBar, forEachInSession, throwFirst } from "../../components/tables/bulk";
import type { Selection } from "../../components/tables/selection";
import { plural } from "../../format";
import type { Action } from "./act";

export function SelectedBar({
  queue,
  selection,
  dead,
  act,
  renew,
}: {
  queue: string;
  selection: Selection;
  dead: boolean;
  act: (start: Action) => void;
  renew: () => unknown;
}) {
  const ids = selection.names;
  const remove = async () => {
    const { done, refused } = await forEachInSession(ids, (message_id) =>
      answer(
        api.DELETE("/v1/queues/{queue}/messages/{message_id}", { params: { path: { queue, message_id } } }),
      ),
    );
    selection.settle(ids, refused);
    notify(`Deleted ${plural(done, "message")}.`);
    await renew();
    throwFirst(refused);
  };
  return (
    <BulkBar
      count={ids.length}
      noun="message"
      clear={() => selection.set([])}
      actions={[
        ...(dead ? [{ name: "Redrive…", run: async () => act("redrive") }] : []),
        { name: "Move…", run: async () => act("move") },
        {
          name: "Delete",
          danger: true,
          about: (
            <p>
              This permanently deletes them from {queue}. Messages that consumers have leased in the meantime
              are kept and reported.
            </p>
          ),
          run: remove,
        },
      ]}
    />
  );
}
