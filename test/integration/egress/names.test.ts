/** What a sandbox asks its name server. */
import { describe, expect, test } from 'vitest';
import { allow, closeAfterEach, dnsFrame, openWorld, readAll } from './lab.ts';

closeAfterEach();

describe('the name server of a sandbox', () => {
  test('answers over TCP as it does over UDP, several questions on one connection, and no other port', async () => {
    const world = await openWorld(allow('registry.test', 443));
    const socket = await world.tcp('198.18.0.1', 53);
    const framed = (name: string) => dnsFrame(name).subarray(4);
    const [first, second] = [framed('registry.test'), framed('other.test')];
    socket.write(Buffer.concat([first, second.subarray(0, 5)]));
    socket.end(second.subarray(5));
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    const answers = Buffer.concat(chunks);
    const size = answers.readUInt16BE(0);
    expect([...answers.subarray(2 + size - 4, 2 + size)].join('.')).toBe('198.18.1.0');
    expect((answers[2 + size + 5] ?? 0) & 15).toBe(3); // no such name
    expect(answers.length).toBe(2 + size + 2 + answers.readUInt16BE(2 + size));
    expect(await world.verdict()).toMatchObject({ host: 'other.test', verdict: 'denied' });
    expect(await readAll(await world.tcp('198.18.0.1', 54))).toMatchObject({ text: '' });
    expect(await world.verdict()).toMatchObject({ port: 54, verdict: 'denied' });
  });

  test('has one rate for all connections of a sandbox', async () => {
    const world = await openWorld({ mode: 'public' }, { now: () => 0 });
    const ask = async (count: number) => {
      const socket = await world.tcp('198.18.0.1', 53);
      socket.end(Buffer.concat(Array.from({ length: count }, () => dnsFrame('a.test').subarray(4))));
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      return chunks.length === 0 ? -1 : (Buffer.concat(chunks)[5] ?? 0) & 15;
    };
    expect(await ask(400)).toBe(0);
    expect(await ask(1)).toBe(5); // refused
  });
});
