/** Connections of programs that end at once, with the line that says whose they are. */
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type HostSocket, openHostSocket } from '../../../runtime/sandbox/host-socket.ts';
import { expectStreams } from '../../../runtime/sandbox/streams.ts';

let dir: string;
let sockets: HostSocket;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wafer-streams-'));
  sockets = await openHostSocket(join(dir, 'host.sock'), (_words, socket) => socket.destroy());
});
afterEach(async () => {
  await sockets.close();
  await rm(dir, { recursive: true, force: true });
});

/** As the engine connects; ended in the same breath. */
const connectAndEnd = (token: string | undefined, after: string | Buffer = '') =>
  connect(join(dir, 'host.sock'))
    .on('error', () => undefined)
    .end(Buffer.concat([Buffer.from(`wafer1 ${token}\n`), Buffer.from(after)]));

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

it('closes a stdin whose reader was gone before anybody looked', async () => {
  for (let round = 0; round < 20; round++) {
    const streams = expectStreams(sockets, { control: false, stdin: true, parked: true });
    connectAndEnd(streams.tokens.stdin);
    await turns(50); // as long as the engine takes to answer
    const { stdin } = await streams.open();
    if (stdin?.closed === false) await new Promise((resolve) => stdin.once('close', resolve));
    expect(stdin?.closed).toBe(true);
  }
});

it('ends the output of a program that said one thing and ended', async () => {
  for (let round = 0; round < 20; round++) {
    const streams = expectStreams(sockets, { control: false, stdin: false });
    connectAndEnd(streams.tokens.logs, Buffer.from([1, 0, 0, 2, 0x68, 0x69]));
    let said = '';
    streams.output.listen((_stream, chunk) => {
      said += chunk.toString();
    });
    await streams.output.ended;
    expect(said).toBe('hi');
  }
});
