/** Requests of this page as commands to paste into a shell. */

import { projectIn } from "./project";

/** Quote text for a shell. Each `'` closes the quotes, is escaped, and opens them again. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Return the options for the headers with the key and the project. */
export function asKey(): string {
  const project = projectIn(location.pathname);
  return `-H "Authorization: Bearer $KEY"${project === null ? "" : ` -H "Restante-Project: ${project}"`}`;
}

/** Return a request as a curl command. It uses the shell's $KEY, never the key of this session. */
export function curl(method: string, path: string, body?: string): string {
  const verb = method === "GET" || (method === "POST" && body !== undefined) ? "" : `-X ${method} `;
  const data = body === undefined ? "" : ` \\\n  -d ${quoted(body)}`;
  return `curl ${verb}${location.origin}${path} ${asKey()}${data}`;
}
