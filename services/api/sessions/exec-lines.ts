/** The output of a program as NDJSON: pieces of text, and at the end how it ended. */
import { PassThrough, type Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { OutputStream, Session } from '../../core/containers/types.ts';

/** The program is held back by a slow reader; a reader that goes leaves it to itself. */
export function sendOutput(session: Session, signal: AbortSignal): Readable {
  const output = new PassThrough();
  const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
  const write = (line: object): void | Promise<void> => {
    if (output.destroyed || output.writableEnded) return;
    if (!output.write(`${JSON.stringify(line)}\n`)) return drained(output);
  };
  const say = (stream: OutputStream, text: string) =>
    text === '' ? undefined : write({ type: 'output', stream, text });
  session.stdin?.on('error', () => {}); // a program that does not read its input
  session.onOutput((stream, chunk) => say(stream, decoders[stream].write(chunk)));
  void session.ended.then((exitCode) => {
    for (const stream of ['stdout', 'stderr'] as const) void say(stream, decoders[stream].end());
    void write({ type: 'exit', exitCode });
    output.end();
  });
  const leave = () => session.leave();
  if (signal.aborted) leave();
  else signal.addEventListener('abort', leave, { once: true });
  output.once('close', leave);
  return output;
}

function drained(output: PassThrough): Promise<void> {
  return new Promise((resolve) => {
    output.once('drain', resolve);
    output.once('close', resolve);
  });
}
