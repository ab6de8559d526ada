/**
 * Egress of functions against real servers: an internet of the test's own, in which every address
 * answers (private, metadata and loopback ones, too), ordinary clients in real sandboxes, a real
 * name server. What was reached is what the servers saw.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EgressSetting } from '../../services/core/functions/egress.ts';
import { NOT_PUBLIC, withoutBrackets } from '../fixtures/addresses-not-public.ts';
import type { Ask } from '../helpers/internet/client.ts';
import { type Internet, openInternet } from '../helpers/internet/index.ts';
import type { Seen } from '../helpers/internet/world.ts';

const WEB = '93.184.216.34';
const WEB6 = '2606:2800:220:1::1';
const STORE = '151.101.1.1';

const ZONE = {
  'api.example.com': [[WEB]],
  'other.example.com': [[WEB]],
  'a.sub.example.com': [[WEB]],
  'six.example.com': [[WEB6]],
  'both.example.com': [[WEB, WEB6]],
  'store.example.com': [[STORE]],
  'private.example.com': [['10.0.0.5']],
  'metadata.example.com': [['169.254.169.254']],
  'loop.example.com': [['127.0.0.1']],
  'loop6.example.com': [['::1']],
  'mapped.example.com': [['::ffff:127.0.0.1']],
  'mixed.example.com': [['10.0.0.5', '::1', WEB]],
  'rebind.example.com': [[WEB], ['169.254.169.254'], ['127.0.0.1']],
  'db.internal.example': [['10.0.0.5']],
};

let internet: Internet;
beforeAll(async () => {
  internet = await openInternet(ZONE);
});
afterAll(() => internet?.close());

const visit = (egress: EgressSetting | null, asks: Ask[], { ceiling = ['public'], late = false } = {}): Promise<Seen> =>
  internet.visit({ egress, ceiling, asks, late });
const http = (host: string, port = 80): Ask => ({ kind: 'http', host, port });

describe('a function with an allow-list', () => {
  it('reaches what it names with HTTP, HTTPS, Redis and plain TCP clients, and leaves a verdict of each', async () => {
    const { answers, verdicts } = await visit(
      ['api.example.com:80', 'api.example.com:443', 'store.example.com:6379'],
      [
        http('api.example.com'),
        { kind: 'https', host: 'api.example.com', port: 443 },
        { kind: 'redis', host: 'store.example.com', port: 6379 },
        { kind: 'tcp', host: 'api.example.com', port: 80 },
      ],
    );
    expect(answers).toEqual([
      `api.example.com at ${WEB}`,
      `api.example.com at ${WEB}`,
      'inside',
      expect.stringContaining(WEB),
    ]);
    expect(verdicts).toHaveLength(4);
    const [web, , , store] = verdicts.sort((a, b) => a.port - b.port);
    expect(web).toMatchObject({ host: 'api.example.com', address: WEB, port: 80, verdict: 'allowed' });
    expect(store).toMatchObject({ host: 'store.example.com', address: STORE, port: 6379, verdict: 'allowed' });
    for (const { bytesUp, bytesDown } of verdicts) expect(Math.min(bytesUp, bytesDown)).toBeGreaterThan(0);
  });

  it('reaches servers of IPv6 by name and by address', async () => {
    const { answers, verdicts } = await visit(
      ['six.example.com:80', `[${WEB6}]:80`],
      [http('six.example.com'), http(WEB6)],
    );
    expect(answers).toEqual([`six.example.com at ${WEB6}`, `[${WEB6}] at ${WEB6}`]);
    expect(verdicts.map(({ host, address }) => `${host} ${address}`).sort()).toEqual([
      `null ${WEB6}`,
      `six.example.com ${WEB6}`,
    ]);
  });

  it('reaches nothing else: no other name, port or address, not even the same server by its address', async () => {
    const { answers, reached, verdicts } = await visit(
      ['api.example.com:443'],
      [
        http('api.example.com'),
        http('other.example.com'),
        http(WEB),
        { kind: 'https', host: WEB, port: 443 },
        http(WEB6),
      ],
    );
    expect(answers.filter((text) => !text.startsWith('!'))).toEqual([]);
    expect(answers[1]).toBe('!ENOTFOUND');
    expect(reached).toEqual([]);
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(verdicts.map(() => 'denied'));
    expect(verdicts).toHaveLength(5);
  });

  it('with a star reaches one label below it, and not two', async () => {
    const { answers } = await visit(['*.example.com:80'], [http('api.example.com'), http('a.sub.example.com')]);
    expect(answers).toEqual([`api.example.com at ${WEB}`, '!ENOTFOUND']);
  });

  it('with a network reaches its addresses, and no name that leads there', async () => {
    const { answers, reached } = await visit(
      ['93.184.0.0/16:80'],
      [http(WEB), http('93.185.0.1'), http('api.example.com')],
    );
    expect(answers).toEqual([`${WEB} at ${WEB}`, expect.stringMatching(/^!/), '!ENOTFOUND']);
    expect(reached).toEqual([WEB]);
  });
});

describe('a function with the public internet', () => {
  it('reaches names and addresses of both families', async () => {
    const { answers } = await visit('public', [
      http('api.example.com'),
      http('six.example.com'),
      http(WEB),
      http(WEB6),
    ]);
    expect(answers).toEqual([
      `api.example.com at ${WEB}`,
      `six.example.com at ${WEB6}`,
      `${WEB} at ${WEB}`,
      `[${WEB6}] at ${WEB6}`,
    ]);
  });

  it('F37: reaches no private, loopback or metadata address by a name that leads there', async () => {
    const names = ['private', 'metadata', 'loop', 'loop6', 'mapped'].map((name) => `${name}.example.com`);
    const { answers, reached, verdicts } = await visit(
      'public',
      names.map((name) => http(name)),
    );
    expect(answers.filter((text) => !text.startsWith('!'))).toEqual([]);
    expect(reached).toEqual([]);
    expect(verdicts.map(({ host, verdict }) => [host, verdict])).toEqual(names.map((name) => [name, 'denied']));
  });

  it('uses the public one of several addresses of a name, and never another', async () => {
    const { answers, reached } = await visit('public', [http('mixed.example.com'), http('mixed.example.com')]);
    expect(answers).toEqual([`mixed.example.com at ${WEB}`, `mixed.example.com at ${WEB}`]);
    expect(reached).toEqual([WEB]);
  });

  it('F37: can not be rebound: each connection is looked up and checked by itself', async () => {
    const { answers, reached } = await visit(
      'public',
      Array.from({ length: 4 }, () => http('rebind.example.com')),
    );
    expect(answers).toEqual([
      `rebind.example.com at ${WEB}`,
      ...Array.from({ length: 3 }, () => expect.stringMatching(/^!/)),
    ]);
    expect(reached).toEqual([WEB]);
  });

  it.each([
    ['public', 'public' as const],
    ['a list of every address', ['0.0.0.0/0:*', '[::]/0:*']],
  ])('F37: with %s reaches nothing by any spelling of an address that is not public', async (_, egress) => {
    // The kernel inside makes 8.8.8.8 of that one, which is public.
    const hosts = NOT_PUBLIC.map(withoutBrackets).filter((host) => host !== '::ffff:8.8.8.8');
    expect(hosts.length).toBeGreaterThanOrEqual(120);
    const { answers, reached, verdicts } = await visit(egress, [{ kind: 'many', hosts, port: 80 }]);
    expect(reached).toEqual([]);
    expect(verdicts.filter(({ verdict }) => verdict === 'allowed')).toEqual([]);
    // A client whose write took the reset reads an end: it has an answer of no bytes.
    const said = JSON.parse(answers[0] ?? '[]') as string[];
    expect(said).toHaveLength(hosts.length);
    expect(hosts.filter((_host, at) => !/^(!.*)?$/.test(said[at] ?? ''))).toEqual([]);
  });
});

it('F38: a sandbox has 256 connections open at most, idle or not, and room again when they have ended', async () => {
  const { answers } = await visit('public', [
    { kind: 'idle', host: WEB, port: 80, count: 400, most: 256 },
    http('api.example.com'),
  ]);
  expect(Number(answers[0])).toBeLessThanOrEqual(256);
  expect(Number(answers[0])).toBeGreaterThan(100);
  expect(answers[1]).toBe(`api.example.com at ${WEB}`);
});

describe('the ceiling of the operator', () => {
  it('holds for a version that asks for more', async () => {
    const { answers, reached, verdicts } = await visit('public', [http('api.example.com'), http(WEB)], {
      ceiling: ['other.example.com:80'],
    });
    expect(answers.every((text) => text.startsWith('!'))).toBe(true);
    expect(reached).toEqual([]);
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(['denied', 'denied']);
  });

  it('opens a private network to those that name it, and to nobody else', async () => {
    const ceiling = ['public', '10.0.0.0/8:80'];
    const asks = [http('10.0.0.5'), http('private.example.com'), http('10.0.0.6')];
    expect((await visit(['10.0.0.5:80'], asks, { ceiling })).reached).toEqual(['10.0.0.5']);
    expect((await visit('public', asks, { ceiling })).reached).toEqual([]);
    expect((await visit(['10.0.0.5:80'], asks)).reached).toEqual([]);
  });

  it('lets a name that it has lead to a private address, for those that name it', async () => {
    const ceiling = ['public', 'db.internal.example:80'];
    // The operator's names are looked up as the system does, which has the test's name server, too.
    const asks = [http('db.internal.example')];
    expect((await visit(['db.internal.example:80'], asks, { ceiling })).reached).toEqual(['10.0.0.5']);
    expect((await visit('public', asks, { ceiling })).reached).toEqual([]);
    expect((await visit(['db.internal.example:80'], asks)).reached).toEqual([]);
  });
});

describe('names', () => {
  it('F39: a name that is only looked up never leaves the machine', async () => {
    const { asked } = await visit('public', [
      http('secret-data.tunnel.example', 1),
      { kind: 'tcp', host: 'more-data.tunnel.example', port: 1 },
    ]);
    // Connected to, they are looked up; a refused one is not.
    const refused = await visit(['api.example.com:80'], [http('leak.example.org'), http('x.leak.example.org')]);
    expect(refused.asked.filter((name) => name.includes('leak'))).toEqual([]);
    expect(asked.some((name) => name.includes('tunnel'))).toBe(true);
  });
});

describe('a function without egress', () => {
  it('F35: has no route, no resolver and no listener', async () => {
    const { answers, verdicts, reached } = await visit(null, [
      { kind: 'look' },
      http(WEB),
      http(WEB6),
      http('api.example.com'),
      http('127.0.0.1'),
      http('169.254.169.254'),
    ]);
    const [look = '{}', ...others] = answers;
    const seen = JSON.parse(look) as Record<string, string>;
    const lines = (text = '') => text.trim().split('\n').slice(1);
    expect(seen['resolv']).toMatch(/^(ENOENT)?$/);
    for (const table of ['routes', 'tcp', 'tcp6', 'udp']) expect([table, lines(seen[table])]).toEqual([table, []]);
    expect(others[0]).toBe('!ENETUNREACH');
    expect(others.every((text) => text.startsWith('!'))).toBe(true);
    expect(verdicts).toEqual([]);
    expect(reached).toEqual([]);
  });
});

describe('a sandbox that is made before it is known what it may', () => {
  it('reaches nothing until then', async () => {
    const asks = [http('api.example.com'), http(WEB), http(WEB6)];
    const { answers, reached } = await visit(null, asks, { late: true });
    expect(answers[0]).toBe('!ENOTFOUND');
    expect(answers.every((text) => text.startsWith('!'))).toBe(true);
    expect(reached).toEqual([]);
  });

  it('has its policy from then on', async () => {
    const { answers } = await visit(['api.example.com:80'], [http('api.example.com'), http(WEB)], { late: true });
    expect(answers).toEqual([`api.example.com at ${WEB}`, expect.stringMatching(/^!/)]);
  });
});
