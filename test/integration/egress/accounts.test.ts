/** Who counts connections, and what is above the ceiling of a namespace. */
import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { EgressAccount, EgressPolicy } from '../../../runtime/sandbox/types.ts';
import { allow, closeAfterEach, echoServer, listening, openWorld, openWorldOnce, readAll } from './lab.ts';

closeAfterEach();

describe('the account of a sandbox', () => {
  const counted = (more: Partial<EgressAccount>) => {
    const seen = { open: 0, bytes: 0, records: [] as string[] };
    const account: EgressAccount = {
      open() {
        seen.open++;
        return null;
      },
      carry(bytes) {
        seen.bytes += bytes;
        return null;
      },
      close: () => void seen.open--,
      record: ({ verdict, reason }) => seen.records.push(`${verdict}: ${reason}`),
      ...more,
    };
    return { account, seen };
  };

  test('is told of every connection, of its bytes both ways, and of its end', async () => {
    const port = await listening(echoServer(), 0);
    const { account, seen } = counted({});
    const world = await openWorld(allow('127.0.0.1', port), { account });
    const socket = await world.tcp('127.0.0.1', port);
    socket.end('hello');
    await readAll(socket);
    await world.verdict();
    expect(seen).toEqual({ open: 0, bytes: 10, records: ['allowed: address rule'] });
  });

  test('that is against it has the connection refused before anything is connected', async () => {
    let connections = 0;
    const port = await listening(
      createServer(() => connections++),
      0,
    );
    const { account, seen } = counted({ open: () => 'too many' });
    const world = await openWorld(allow('127.0.0.1', port), { account });
    expect(await readAll(await world.tcp('127.0.0.1', port))).toMatchObject({ text: '' });
    expect(await world.verdict()).toMatchObject({ verdict: 'denied', reason: 'too many' });
    expect([connections, seen.open]).toEqual([0, 0]);
  });

  test('ends a connection that has had its bytes', async () => {
    const port = await listening(echoServer(), 0);
    let left = 100_000;
    const { account, seen } = counted({
      carry(bytes) {
        left -= bytes;
        return left > 0 ? null : 'used up';
      },
    });
    const world = await openWorld(allow('127.0.0.1', port), { account });
    const socket = await world.tcp('127.0.0.1', port);
    socket.write('x'.repeat(10_000_000));
    expect((await readAll(socket)).ended).toBe(false);
    expect(await world.verdict()).toMatchObject({ verdict: 'failed', reason: 'used up' });
    expect(seen.open).toBe(0);
  });

  test('is not asked about a connection that the policy is against, but told of it', async () => {
    const { account, seen } = counted({ open: () => 'never' });
    const world = await openWorld({ mode: 'public' }, { account });
    await readAll(await world.tcp('10.0.0.1', 80));
    await world.verdict();
    expect(seen.records).toEqual(['denied: the address is not public (private)']);
  });
});

describe('a policy within a ceiling', () => {
  test('allows what both allow, and says which of the two is against it', async () => {
    const port = await listening(echoServer(), 0);
    const both = (host: string, within: EgressPolicy): EgressPolicy => ({ ...allow(host, port), within });
    const world = await openWorld(both('127.0.0.1', allow('127.0.0.0/16', port)));
    const socket = await world.tcp('127.0.0.1', port);
    socket.end('x');
    expect(await readAll(socket)).toMatchObject({ text: 'x' });
    world.egress.register('box', both('127.0.0.1', { mode: 'public' }));
    await readAll(await world.tcp('127.0.0.1', port));
    world.egress.register('box', both('*.test', { mode: 'list', allow: [{ host: 'a.test', port: 1 }] }));
    await readAll(await world.tcp(String(await world.lookUp('a.test')), port));
    expect(await world.lookUp('b.test')).toBe(3);
    const reasons = [await world.verdict(), await world.verdict(), await world.verdict(), await world.verdict()].map(
      ({ reason }) => reason,
    );
    expect(reasons).toEqual([
      'address rule',
      'it is above the ceiling of the namespace: the address is not public (loopback)',
      'it is above the ceiling of the namespace: no rule allows the name on this port',
      'no rule allows the name',
    ]);
  });

  test('trusts a name that both trust', async () => {
    const port = await listening(echoServer(), 0);
    const resolve = async () => ['127.0.0.1'];
    const trusted = { mode: 'list' as const, allow: [{ host: 'db.test', port, trustResolved: true }] };
    const reach = async (within: EgressPolicy) => {
      const world = await openWorldOnce({ ...trusted, within }, resolve);
      const socket = await world.tcp(String(await world.lookUp('db.test')), port);
      socket.end('x');
      await readAll(socket);
      return (await world.verdict()).verdict;
    };
    expect(await reach(trusted)).toBe('allowed');
    expect(await reach({ mode: 'public' })).toBe('denied');
    expect(await reach(allow('db.test', port))).toBe('denied');
  });
});
