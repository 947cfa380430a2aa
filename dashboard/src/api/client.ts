/** The API client, typed by the OpenAPI document. The dashboard makes all its requests through it. */

import createClient from "openapi-fetch";
import { currentSession, signOut, stillIn } from "../session";
import { answered, unanswered } from "./reachable";
import type { Problem, paths } from "./schema";

/** An error response of the service, or a missing response (status 0). */
export class ProblemError extends Error {
  constructor(
    readonly problem: Problem,
    /** How long the service asks to wait before the next request, in seconds. */
    readonly retryAfter = 0,
  ) {
    super(problem.detail);
  }

  /** Whether the resource does not exist, or no longer exists. */
  get gone(): boolean {
    return this.problem.status === 404;
  }

  /** Whether the same request may succeed later. */
  get passing(): boolean {
    return this.problem.status === 0 || this.problem.status === 429 || this.problem.status >= 500;
  }
}

/** Timeouts in milliseconds. A change may take as long as the test of a webhook, so it gets more time. */
const TIMEOUTS = { read: 20_000, change: 130_000 };

export const api = createClient<paths>({ baseUrl: location.origin, fetch: ask });

/** Send a request with the session's key. A 401 ends the session. */
async function ask(request: Request): Promise<Response> {
  const session = currentSession();
  if (session && !request.headers.has("Authorization")) {
    request.headers.set("Authorization", `Bearer ${session.key}`);
    if (session.project) request.headers.set("Restante-Project", session.project);
  }
  const reads = request.method === "GET";
  const timeout = AbortSignal.timeout(reads ? TIMEOUTS.read : TIMEOUTS.change);
  let response: Response;
  try {
    response = await fetch(request, { signal: AbortSignal.any([request.signal, timeout]) });
  } catch (error) {
    if (request.signal.aborted) throw error;
    unanswered();
    throw new ProblemError(noResponse(reads));
  }
  // A 503 from the service itself counts as an answer. A 503 from a proxy means that the service is down.
  const own = response.headers.get("Content-Type")?.startsWith("application/problem+json");
  if (response.status >= 502 && !own) unanswered();
  else answered();
  if (response.status === 401 && session && stillIn(session)) signOut(true);
  return response;
}

function noResponse(reads: boolean): Problem {
  return {
    type: "about:blank",
    title: "No response",
    status: 0,
    detail: reads
      ? "Restante is not responding. The dashboard keeps trying."
      : "Restante is not responding. The change may or may not have been made: check before you try again.",
    code: "no_answer",
    request_id: "",
  };
}

/** Return request options for a body that is already JSON text. It is sent unchanged, with its numbers and whitespace. */
export function verbatim<T>(json: string): { body: T; bodySerializer: (body: T) => string } {
  return { body: json as T, bodySerializer: String };
}

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** Return the data of a response. Throws ProblemError. */
export async function answer<T>(asked: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await asked;
  if (response.ok) return data as T;
  throw new ProblemError(asProblem(error, response), Number(response.headers.get("Retry-After")) || 0);
}

export interface Tagged<T> {
  found: T;
  etag: string | null;
}

/** Return the data of a response with its ETag, for a later conditional update. Throws ProblemError. */
export async function tagged<T>(asked: Promise<Answer<T>>): Promise<Tagged<T>> {
  const found = await answer(asked);
  return { found, etag: (await asked).response.headers.get("ETag") };
}

function asProblem(error: unknown, response: Response): Problem {
  if (typeof error === "object" && error !== null && "detail" in error) return error as Problem;
  return {
    type: "about:blank",
    title: response.statusText || "Unexpected response",
    status: response.status,
    detail: `A proxy between this page and Restante answered ${response.status}.`,
    code: "unexpected_answer",
    request_id: response.headers.get("Request-Id") ?? "",
  };
}
