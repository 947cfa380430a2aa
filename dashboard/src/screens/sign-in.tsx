import { useState } from "preact/hooks";
import { answer, api, ProblemError } from "../api/client";
import { Button } from "../components/button";
import { CodeBox } from "../components/copy";
import { TextField } from "../components/field";
import { ProblemNote } from "../components/problem";
import { curl } from "../curl";
import { signIn } from "../session";
import { Mark } from "../shell/shell";

/** What a header can carry. */
const KEY = /^[\x21-\x7e]*$/;

/** Here nothing is asked again by itself. */
function unanswered(error: Error): Error {
  if (!(error instanceof ProblemError) || error.problem.status !== 0) return error;
  return new ProblemError({
    ...error.problem,
    detail: "Restante does not answer. Sign in again when it does.",
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
            Your key is not known any more: it has expired or was revoked. Sign in again and you are back
            where you were.
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
            KEY.test(key.trim()) ? undefined : "This is no key: it has blanks, or characters that no key has."
          }
          hint="Stays in this tab, and is forgotten when it closes."
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
          <summary>I have no key</summary>
          <div class="stack">
            <p>
              <code>make run</code> and <code>restante serve</code> print the root key when they start with
              their own PostgreSQL. Whoever has an admin key makes others:
            </p>
            <CodeBox text={curl("POST", "/v1/keys", '{"name": "me", "scopes": ["admin"]}')} />
          </div>
        </details>
      </form>
    </main>
  );
}
