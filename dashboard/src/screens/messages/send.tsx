import { useQuery, useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { answer, api, verbatim } from "../../api/client";
import type { Message, Sent } from "../../api/schema";
import { useDebounced } from "../../components/forms/debounced";
import { FormDialog } from "../../components/forms/dialog";
import { TextField } from "../../components/forms/field";
import { notify } from "../../components/states/toasts";
import { CodeBox } from "../../components/text/copy";
import { curl } from "../../curl";
import { BLANK, fitting, isReady, type MessageDraft, requestText } from "./draft";
import { MessageFields } from "./fields";

/** Return whether the queue is known to be a fifo queue. */
export function useFifo(queue: string): boolean {
  const { data } = useQuery({
    queryKey: ["queues", "type", queue],
    queryFn: () => answer(api.GET("/v1/queues/{queue}", { params: { path: { queue } } })),
    enabled: queue !== "",
  });
  return data?.type === "fifo";
}

/** Send the text of a request unchanged, without parsing it first. */
export function sendText(queue: string, text: string): Promise<Sent> {
  return answer(
    api.POST("/v1/queues/{queue}/messages", {
      params: { path: { queue } },
      ...verbatim<Message>(text),
    }),
  );
}

export function SendDialog({
  queue: name,
  onClose,
  start = BLANK,
  elsewhere = false,
}: {
  queue: string;
  onClose: () => void;
  start?: MessageDraft;
  /** Let the user choose another queue. */
  elsewhere?: boolean;
}) {
  const [draft, setDraft] = useState(start);
  const [typed, setTyped] = useState(name);
  const queue = typed.trim();
  const queries = useQueryClient();
  const fifo = useFifo(useDebounced(queue));
  const request = requestText(fitting(draft, fifo));
  const send = async () => {
    const sent = await sendText(queue, request);
    notify(sent.duplicate ? "Duplicate: the message was sent before and is not stored again." : "Sent.");
    await queries.invalidateQueries({ queryKey: ["queues"] });
  };
  return (
    <FormDialog
      title={`Send to ${queue}`}
      action="Send"
      icon="send"
      ready={isReady(draft) && queue !== ""}
      run={send}
      onClose={onClose}
      wide
    >
      {(error) => (
        <>
          {elsewhere && (
            <TextField label="Destination queue" mono required value={typed} onValue={setTyped} />
          )}
          <MessageFields
            draft={draft}
            fifo={fifo}
            error={error}
            change={(changes) => setDraft((old) => ({ ...old, ...changes }))}
          />
          <details>
            <summary>As curl</summary>
            <CodeBox text={curl("POST", `/v1/queues/${queue}/messages`, request)} label="Copy the command" />
          </details>
        </>
      )}
    </FormDialog>
  );
}
