import { connect } from 'node:net';

/** `pid` is the server's, so that an answer of another server on the same path can be told apart. */
export type PingAnswer = { state: 'ready'; pid: number } | { state: 'loading' } | { state: 'silent' };

const MAX_ANSWER_BYTES = 64 * 1024;
const SILENT: PingAnswer = { state: 'silent' };

/**
 * Asks over a fresh connection, without a client library that would log, retry and
 * wait by itself. Never rejects; `silent` is everything that is not an answer of Redis.
 */
export function ping(socketPath: string, timeoutMs = 1000): Promise<PingAnswer> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    let text = '';
    const finish = (answer: PingAnswer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => finish(SILENT));
    socket.on('error', () => finish(SILENT));
    socket.on('close', () => finish(SILENT));
    socket.on('connect', () => socket.write('PING\r\nINFO server\r\n'));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const answer = readAnswer(text);
      if (answer !== null) finish(answer);
    });
  });
}

function readAnswer(text: string): PingAnswer | null {
  if (text.startsWith('-LOADING')) return { state: 'loading' };
  const pid = /process_id:(\d+)\r\n/.exec(text)?.[1];
  if (text.startsWith('+PONG') && pid !== undefined) return { state: 'ready', pid: Number(pid) };
  return text.length > MAX_ANSWER_BYTES ? SILENT : null;
}
