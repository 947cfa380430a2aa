/** What this page does, as a command to paste into a shell. */

import { projectIn } from "./project";

/** `'` ends the quotes, stands for itself, and begins them again. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The headers that say who asks, and in which project. */
export function asKey(): string {
  const project = projectIn(location.pathname);
  return `-H "Authorization: Bearer $KEY"${project === null ? "" : ` -H "Restante-Project: ${project}"`}`;
}

/** A request; the key is the shell's $KEY, never the one of this session. */
export function curl(method: string, path: string, body?: string): string {
  const verb = method === "GET" || (method === "POST" && body !== undefined) ? "" : `-X ${method} `;
  const data = body === undefined ? "" : ` \\\n  -d ${quoted(body)}`;
  return `curl ${verb}${location.origin}${path} ${asKey()}${data}`;
}
