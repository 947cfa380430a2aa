import { useState } from "preact/hooks";
import { answer, api, ProblemError } from "../api/client";
import { Button } from "../components/controls/button";
import { TextField } from "../components/forms/field";
import { Mark } from "../components/page/mark";
import { ProblemNote } from "../components/states/problem";
import { CodeBox } from "../components/text/copy";
import { curl } from "../curl";
import { signIn } from "../session";

/** The characters that a header can contain. */
const KEY = /^[\x21-\x7e]*$/;

/** Adjust the message of a missing response, because the sign-in form does not retry automatically. */
function unanswered(error: Error): Error {
  if (!(error instanceof ProblemError) || error.problem.status !== 0) return error;
  return new ProblemError({
    ...error.problem,
    detail: "Restante is not responding. Try to sign in again in a moment.",
  });
}

export function SignIn({ expired }: { expired: boolean }) {
  const [key, setKey] = useState("");
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    const entered = key.trim();
    setBusy(true);
    setError(null);
    try {
      await answer(api.GET("/v1/whoami", { headers: { Authorization: `Bearer ${entered}` } }));
      signIn(entered);
    } catch (raised) {
      setError(unanswered(raised as Error));
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <form class="card stack" onSubmit={submit}>
        <h1>
          <Mark /> Restante
        </h1>
        {expired && (
          <p class="note away" role="status">
            Your API key is no longer valid: it has expired or was revoked. Sign in again to return to this
            page.
          </p>
        )}
        <TextField
          label="API key"
          type="password"
          mono
          required
          autofocus
          value={key}
          onValue={setKey}
          error={
            KEY.test(key.trim())
              ? undefined
              : "This is not an API key: it contains spaces or other characters that no key has."
          }
          hint="Kept in this tab only, until you close it."
        />
        {error && <ProblemNote error={error} />}
        <Button
          type="submit"
          kind="primary"
          busy={busy}
          disabled={key.trim() === "" || !KEY.test(key.trim())}
        >
          Sign in
        </Button>
        <details>
          <summary>I don't have a key</summary>
          <div class="stack">
            <p>
              <code>make run</code> and <code>restante serve</code> print the root key when they create it and
              keep it in <code>root.key</code> in the data folder. A key with the scope <code>admin</code> can
              create others:
            </p>
            <CodeBox text={curl("POST", "/v1/keys", '{"name": "me", "scopes": ["admin"]}')} />
          </div>
        </details>
      </form>
    </main>
  );
}
