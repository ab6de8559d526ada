import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';

/** Asks on the terminal; what is typed for a hidden answer is not shown. */
export async function ask(question: string, hidden: boolean): Promise<string> {
  // readline clears the line that it prompts on, so what is hidden is asked for without its help.
  if (hidden) process.stderr.write(question);
  const output = hidden ? new Writable({ write: (_chunk, _encoding, done) => done() }) : process.stderr;
  const prompt = createInterface({ input: process.stdin, output, terminal: true });
  try {
    return await prompt.question(hidden ? '' : question);
  } finally {
    prompt.close();
    if (hidden) process.stderr.write('\n');
  }
}
