/** A command line as argv: quotes and backslashes, nothing else; no shell runs. @throws Error for an open quote */
export function shellWords(text: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? '';
    if (/\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (char === "'" || char === '"') {
      const [inner, end] = quoted(text, at);
      word = (word ?? '') + inner;
      at = end;
    } else if (char === '\\' && at + 1 < text.length) word = (word ?? '') + text[++at];
    else word = (word ?? '') + char;
  }
  if (word !== null) words.push(word);
  return words;
}

/** @returns the text between the quotes, and where the closing one is */
function quoted(text: string, begin: number): [inner: string, end: number] {
  const quote = text[begin];
  let inner = '';
  for (let at = begin + 1; at < text.length; at++) {
    const char = text[at] ?? '';
    if (char === quote) return [inner, at];
    const next = text[at + 1] ?? '';
    if (quote === '"' && char === '\\' && '"\\$`'.includes(next)) inner += text[++at];
    else inner += char;
  }
  throw new Error(`a quote (${quote}) is not closed.`);
}
