import { ProblemError } from "../../api/client";
import { Button } from "../controls/button";
import { Icon } from "../controls/icon";

/** An error as the service words it: title, what to do, and the request id to find it by in the log. */
export function ProblemNote({ error, again }: { error: Error; again?: () => void }) {
  const problem = error instanceof ProblemError ? error.problem : null;
  return (
    <div class="note problem" role="alert">
      <Icon name="warning" />
      <div>
        <strong>{problem?.title ?? "Something went wrong on this page"}</strong>
        <p>{problem?.detail ?? error.message}</p>
        {problem?.errors && problem.errors.length > 0 && (
          <ul>
            {problem.errors.map((member) => (
              <li key={member.pointer}>
                <code>{member.pointer || "the request"}</code> {member.detail}
              </li>
            ))}
          </ul>
        )}
        {problem?.request_id && (
          <p class="faint">
            {problem.code} · request <code>{problem.request_id}</code>
          </p>
        )}
      </div>
      {again && (
        <Button icon="refresh" onClick={again}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** Return the problem's sentence about one field of the request, by JSON Pointer. */
export function fieldProblem(error: Error | null | undefined, pointer: string): string | undefined {
  if (!(error instanceof ProblemError)) return undefined;
  return error.problem.errors?.find((member) => member.pointer === pointer)?.detail;
}
