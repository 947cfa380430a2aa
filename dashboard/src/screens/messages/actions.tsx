import { useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { useAccess } from "../../access";
import { answer, api } from "../../api/client";
import type { Queue, WholeMessage } from "../../api/schema";
import { Button } from "../../components/controls/button";
import { Confirm } from "../../components/forms/dialog";
import { notify } from "../../components/states/toasts";
import type { Body } from "../../components/text/body";
import { CodeBox } from "../../components/text/copy";
import { curl } from "../../curl";
import { ActOn } from "./act";
import { asText, BLANK, base64, type MessageDraft, requestText } from "./draft";
import { SendDialog } from "./send";

export interface Seen {
  message: WholeMessage;
  body: Body;
}

function typedBody(body: Body): Pick<MessageDraft, "kind" | "body"> {
  if ("json" in body) return { kind: "json", body: body.json };
  const text = asText(body.bytes);
  return text === null ? { kind: "base64", body: base64(body.bytes) } : { kind: "text", body: text };
}

function draftOf({ message, body }: Seen): MessageDraft {
  return {
    ...BLANK,
    ...typedBody(body),
    contentType: "json" in body && message.content_type === "application/json" ? "" : message.content_type,
    headers: Object.entries(message.headers)
      .map(([name, value]) => `${name}: ${value}`)
      .join("\n"),
    priority: message.priority ? String(message.priority) : "",
    group: message.group ?? "",
  };
}

export function Actions({ queue, seen, gone }: { queue: Queue; seen: Seen; gone: boolean }) {
  const { may } = useAccess();
  const [open, setOpen] = useState<"again" | "delete" | "curl" | "act" | null>(null);
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const path = { queue: queue.name, message_id: seen.message.id };
  const close = () => setOpen(null);
  // A repaired dead letter goes back to its source queue.
  const target = seen.message.dead_letter?.source_queue ?? queue.name;
  return (
    <>
      <Button
        icon="copy"
        onClick={() => setOpen(open === "curl" ? null : "curl")}
        aria-expanded={open === "curl"}
      >
        As curl
      </Button>
      {may("send") && (
        <Button icon="send" onClick={() => setOpen("again")}>
          Edit and send again
        </Button>
      )}
      {may("manage") && !gone && (
        <Button disabled={seen.message.state === "leased"} onClick={() => setOpen("act")}>
          {seen.message.dead_letter ? "Redrive…" : "Move…"}
        </Button>
      )}
      {may("manage") && !gone && (
        <Button kind="danger" disabled={seen.message.state === "leased"} onClick={() => setOpen("delete")}>
          Delete
        </Button>
      )}
      {open === "curl" && (
        <div class="below">
          <CodeBox
            text={curl("POST", `/v1/queues/${target}/messages`, requestText(draftOf(seen)))}
            label="Copy the command"
          />
        </div>
      )}
      {open === "again" && <SendDialog queue={target} start={draftOf(seen)} elsewhere onClose={close} />}
      {open === "act" && (
        <ActOn
          queue={queue}
          chosen={{ message_ids: [seen.message.id] }}
          start={seen.message.dead_letter ? "redrive" : "move"}
          title="Act on this message"
          onClose={close}
        />
      )}
      {open === "delete" && (
        <Confirm
          title="Delete this message"
          action="Delete 1 message"
          onClose={close}
          run={async () => {
            await answer(api.DELETE("/v1/queues/{queue}/messages/{message_id}", { params: { path } }));
            notify("Deleted 1 message.");
            navigate(`/queues/${queue.name}/messages`);
            await queries.invalidateQueries({ queryKey: ["queues"] });
          }}
        >
          <p>
            This permanently deletes message <strong class="mono wrap">{seen.message.id}</strong> from{" "}
            {queue.name}.
          </p>
        </Confirm>
      )}
    </>
  );
}
