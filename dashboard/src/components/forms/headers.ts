/** Parse headers, one `name: value` per line. */
export function headersOf(lines: string): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (const line of lines.split("\n")) {
    const colon = line.indexOf(":");
    if (line.trim())
      headers[(colon < 0 ? line : line.slice(0, colon)).trim()] =
        colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  }
  return headers;
}
