import { useState } from "preact/hooks";
import { answer, api } from "../../api/client";
import { Button } from "../../components/controls/button";
import { ProblemNote } from "../../components/states/problem";
import { CodeBox } from "../../components/text/copy";
import { Ago } from "../../components/text/time";
import { curl } from "../../curl";
import type { Held } from "./received";

/** A message that this page has leased, and the actions on its receipt. */
export function HeldMessage({ held: { message, text }, gone }: { held: Held; gone: () => void }) {
  const [error, setError] = useState<Error | null>(null);
  const [until, setUntil] = useState(message.lease_expires_at);
  const path = `/v1/receipts/${message.receipt}`;
  const params = { path: { receipt: message.receipt } };
  const settle = (asked: Promise<unknown>) => asked.then(gone).catch(setError);
  return (
    <li class="held">
      <div class="line">
        <div class="line-text">
          <span class="mono clip">{text}</span>
          <span class="faint">
            receive {message.receive_count}, lease ends <Ago time={until} />
          </span>
        </div>
      </div>
      <div class="actions">
        <Button
          kind="primary"
          onClick={() => settle(answer(api.DELETE("/v1/receipts/{receipt}", { params })))}
        >
          Delete
        </Button>
        <Button
          onClick={() =>
            answer(api.PATCH("/v1/receipts/{receipt}", { params, body: { visibility_timeout: 60 } }))
              .then(({ lease_expires_at }) => setUntil(lease_expires_at))
              .catch(setError)
          }
        >
          Extend 60 s
        </Button>
        <Button
          onClick={() => settle(answer(api.POST("/v1/receipts/{receipt}/release", { params, body: {} })))}
        >
          Release
        </Button>
        <Button
          onClick={() =>
            settle(
              answer(
                api.POST("/v1/receipts/{receipt}/reject", {
                  params,
                  body: { error: "rejected in the playground" },
                }),
              ),
            )
          }
        >
          Reject
        </Button>
      </div>
      <details>
        <summary>As curl</summary>
        <div class="stack tight">
          <CodeBox text={curl("DELETE", path)} label="Copy the delete command" />
          <CodeBox text={curl("PATCH", path, '{"visibility_timeout": 60}')} label="Copy the extend command" />
          <CodeBox text={curl("POST", `${path}/release`)} label="Copy the release command" />
          <CodeBox
            text={curl("POST", `${path}/reject`, '{"error": "why"}')}
            label="Copy the reject command"
          />
        </div>
      </details>
      {error && <ProblemNote error={error} />}
    </li>
  );
}
