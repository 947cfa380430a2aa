/** The API, typed by its OpenAPI document. Everything the dashboard knows comes through here. */

import createClient from "openapi-fetch";
import { currentSession, signOut, stillIn } from "../session";
import { answered, unanswered } from "./reachable";
import type { Problem, paths } from "./schema";

/** A problem that the service answered, or that it did not answer. */
export class ProblemError extends Error {
  constructor(
    readonly problem: Problem,
    /** Seconds that the service wants to be left alone. */
    readonly retryAfter = 0,
  ) {
    super(problem.detail);
  }

  /** Whether what was asked about is not there, or not any more. */
  get gone(): boolean {
    return this.problem.status === 404;
  }

  /** Whether the same request may succeed later. */
  get passing(): boolean {
    return this.problem.status === 0 || this.problem.status === 429 || this.problem.status >= 500;
  }
}

/** Milliseconds. A change may take as long as a webhook that is tested, and is not broken off before. */
const PATIENCE = { read: 20_000, change: 130_000 };

export const api = createClient<paths>({ baseUrl: location.origin, fetch: ask });

/** Ask with the session's key; a key that is not known any more ends the session. */
async function ask(request: Request): Promise<Response> {
  const session = currentSession();
  if (session && !request.headers.has("Authorization")) {
    request.headers.set("Authorization", `Bearer ${session.key}`);
    if (session.project) request.headers.set("Restante-Project", session.project);
  }
  const reads = request.method === "GET";
  const patience = AbortSignal.timeout(reads ? PATIENCE.read : PATIENCE.change);
  let response: Response;
  try {
    response = await fetch(request, { signal: AbortSignal.any([request.signal, patience]) });
  } catch (error) {
    if (request.signal.aborted) throw error;
    unanswered();
    throw new ProblemError(silence(reads));
  }
  // A 503 of the service itself is an answer; one of a proxy before it says that the service is away.
  const own = response.headers.get("Content-Type")?.startsWith("application/problem+json");
  if (response.status >= 502 && !own) unanswered();
  else answered();
  if (response.status === 401 && session && stillIn(session)) signOut(true);
  return response;
}

function silence(reads: boolean): Problem {
  return {
    type: "about:blank",
    title: "No answer",
    status: 0,
    detail: reads
      ? "Restante does not answer. It is asked again by itself."
      : "Restante does not answer, so it may be done or not: look before you do it again.",
    code: "no_answer",
    request_id: "",
  };
}

/** A body that is JSON already: it goes out as it was written, every number and blank of it. */
export function verbatim<T>(json: string): { body: T; bodySerializer: (body: T) => string } {
  return { body: json as T, bodySerializer: String };
}

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** Return what was answered; raise a ProblemError otherwise. */
export async function answer<T>(asked: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await asked;
  if (response.ok) return data as T;
  throw new ProblemError(asProblem(error, response), Number(response.headers.get("Retry-After")) || 0);
}

export interface Tagged<T> {
  found: T;
  etag: string | null;
}

/** Return what was answered with its ETag, for a change that is to hold only if it is still so. */
export async function tagged<T>(asked: Promise<Answer<T>>): Promise<Tagged<T>> {
  const found = await answer(asked);
  return { found, etag: (await asked).response.headers.get("ETag") };
}

function asProblem(error: unknown, response: Response): Problem {
  if (typeof error === "object" && error !== null && "detail" in error) return error as Problem;
  return {
    type: "about:blank",
    title: response.statusText || "Unexpected answer",
    status: response.status,
    detail: `Something between this page and Restante answered ${response.status}.`,
    code: "unexpected_answer",
    request_id: response.headers.get("Request-Id") ?? "",
  };
}
