/** What this page does, as a command to paste into a shell. */

import { projectIn } from "./project";

/** `'` ends the quotes, stands for itself, and begins them again. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A request; the key is the shell's $KEY, never the one of this session. */
export function curl(method: string, path: string, body?: string): string {
  const verb = method === "GET" || (method === "POST" && body !== undefined) ? "" : `-X ${method} `;
  const project = projectIn(location.pathname);
  const inside = project === null ? "" : ` -H "Restante-Project: ${project}"`;
  const data = body === undefined ? "" : ` \\\n  -d ${quoted(body)}`;
  return `curl ${verb}${location.origin}${path} -H "Authorization: Bearer $KEY"${inside}${data}`;
}
