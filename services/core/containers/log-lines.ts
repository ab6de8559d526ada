/** Output of a program as blocks of lines. Nothing is left out: what has no newline yet, or is too long, is a part of a line. */
import { StringDecoder } from 'node:string_decoder';

export interface Block {
  /** Lines with `\n` between them; none behind the last. */
  text: string;
  /** No newline follows the last line. */
  partial: boolean;
}

export interface LineCutter {
  push(chunk: Buffer): Block[];
  /** What waits for its newline, now. */
  cut(): Block[];
  /** Also bytes of a character that never became whole. */
  end(): Block[];
  readonly waiting: boolean;
}

export function createLineCutter(maxLength: number): LineCutter {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const cut = () => {
    const waiting = rest === '' ? [] : blocks(rest, true, maxLength);
    rest = '';
    return waiting;
  };
  return {
    push(chunk) {
      const text = rest + decoder.write(chunk);
      const end = text.lastIndexOf('\n');
      rest = text.slice(end + 1);
      const found = end < 0 ? [] : blocks(text.slice(0, end), false, maxLength);
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

/** Of at most `maxLength` characters each; a line is torn only when it is longer than that. */
function blocks(text: string, partial: boolean, maxLength: number): Block[] {
  const found: Block[] = [];
  let at = 0;
  while (text.length - at > maxLength) {
    const newline = text.lastIndexOf('\n', at + maxLength);
    const isTorn = newline < at;
    const end = isTorn ? at + maxLength : newline;
    found.push({ text: text.slice(at, end), partial: isTorn });
    at = isTorn ? end : end + 1;
  }
  found.push({ text: text.slice(at), partial });
  return found;
}
