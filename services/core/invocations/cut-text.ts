/** At most `maxBytes` of UTF-8, whole characters, and a mark that says how much is missing. */
export function cutText(text: string, maxBytes: number): string {
  // A character has at most 3 bytes per UTF-16 unit, so short text needs no count.
  if (text.length * 3 <= maxBytes) return text;
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxBytes) return text;
  const head = Buffer.from(text.slice(0, maxBytes));
  let end = Math.min(maxBytes, head.length);
  while (end > 0 && ((head[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${head.toString('utf8', 0, end)}… (${bytes - end} bytes cut)`;
}
