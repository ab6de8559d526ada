/** Output of a program as lines of text. Nothing is left out: what has no newline yet, or is too long, is a part of a line. */
import { StringDecoder } from 'node:string_decoder';

export interface TextLine {
  text: string;
  /** No newline follows. */
  partial: boolean;
}

export interface LineCutter {
  push(chunk: Buffer): TextLine[];
  /** What waits for its newline, now. */
  cut(): TextLine[];
  /** Also bytes of a character that never became whole. */
  end(): TextLine[];
  readonly waiting: boolean;
}

export function createLineCutter(maxLength: number): LineCutter {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const pieces = (text: string, partial: boolean): TextLine[] => {
    const found: TextLine[] = [];
    let at = 0;
    for (; text.length - at > maxLength; at += maxLength)
      found.push({ text: text.slice(at, at + maxLength), partial: true });
    found.push({ text: text.slice(at), partial });
    return found;
  };
  const cut = () => {
    const waiting = rest === '' ? [] : pieces(rest, true);
    rest = '';
    return waiting;
  };
  return {
    push(chunk) {
      const lines = (rest + decoder.write(chunk)).split('\n');
      rest = lines.pop() ?? '';
      const found = lines.flatMap((line) => pieces(line, false));
      return rest.length > maxLength ? [...found, ...cut()] : found;
    },
    cut,
    end() {
      rest += decoder.end();
      return cut();
    },
    get waiting() {
      return rest !== '';
    },
  };
}
