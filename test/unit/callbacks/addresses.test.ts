/** Where callbacks may go: every way to spell an address that is not public, names that lead to one, and what the operator allows. */
import { describe, expect, it } from 'vitest';
import {
  assertFollowers,
  createAddressGuard,
  type Resolve,
} from '../../../services/core/triggers/callbacks/addresses.ts';
import { NOT_PUBLIC } from '../../fixtures/addresses-not-public.ts';

const PUBLIC = [{ address: '93.184.216.34', family: 4 }];
const guardOf = (allowed: string[] = [], resolve: Resolve = async () => PUBLIC) =>
  createAddressGuard({ allowed, resolve });

describe('an address in a callback URL', () => {
  it.each(NOT_PUBLIC)('http://%s/ is refused when it is saved and when it is connected to', async (host) => {
    const guard = guardOf();
    for (const url of [`http://${host}/`, `https://${host}:8443/a?b=c`]) {
      expect(await guard.problem(url)).toMatch(/not public/);
      expect(guard.open(url)).toEqual({ problem: expect.stringMatching(/not public/) });
    }
  });

  it.each([
    '93.184.216.34',
    '1.1.1.1',
    '8.8.8.8',
    '172.32.0.1',
    '100.128.0.1',
    '[2606:4700::1111]',
    '[2a00:1450:4001:82a::200e]',
  ])('http://%s/ is public', async (host) => {
    expect(await guardOf().problem(`http://${host}/`)).toBeNull();
  });
});

describe('what is not the URL of a receiver', () => {
  it.each([
    ['file:///etc/passwd', 'must begin with'],
    ['gopher://example.org/', 'must begin with'],
    ['unix:/run/redis.sock', 'must begin with'],
    ['ftp://example.org/', 'must begin with'],
    ['javascript:alert(1)', 'must begin with'],
    ['data:text/plain,x', 'must begin with'],
    ['http://user@example.org/', 'must not hold a name'],
    ['http://user:pw@example.org/', 'must not hold a name'],
    ['http://example.org@127.0.0.1/', 'must not hold a name'],
    ['//example.org/', 'is not a URL'],
    ['example.org', 'is not a URL'],
    ['', 'is not a URL'],
    ['http://', 'is not a URL'],
    ['http://[fe80::1%25eth0]/', 'is not a URL'],
    ['http://1.2.3.4.5/', 'is not a URL'],
    ['http://exa mple.org/', 'must not hold white space'],
    ['http://12\t7.0.0.1/', 'must not hold white space'],
    ['https://a.example/, https://b.example/', 'must not hold white space'],
    [`http://example.org/${'a'.repeat(2_048)}`, 'must not have more than 2048'],
  ])('%j is refused', async (url, why) => {
    expect(await guardOf().problem(url)).toContain(why);
    expect(guardOf().open(url)).toEqual({ problem: expect.stringContaining(why) });
  });
});

describe('a name', () => {
  const lookUp = (resolve: Resolve, url: string, allowed: string[] = []) =>
    new Promise<unknown>((done) => {
      const opened = guardOf(allowed, resolve).open(url);
      if ('problem' in opened || opened.lookup === undefined) return done(opened);
      opened.lookup(new URL(url).hostname, { all: true }, (error, addresses) => done(error?.message ?? addresses));
    });

  it('that leads to one address that is not public is refused, however many others it has', async () => {
    const resolve: Resolve = async () => [...PUBLIC, { address: '::ffff:10.0.0.1', family: 6 }];
    expect(await guardOf([], resolve).problem('https://mixed.example/')).toContain('::ffff:10.0.0.1 (mixed.example)');
    expect(await lookUp(resolve, 'https://mixed.example/')).toContain('not public');
  });

  it.each(['localhost', 'LOCALHOST.', 'metadata.google.internal', 'xn--e1afmkfd.example'])(
    '%s is refused by what it resolves to',
    async (name) => {
      const resolve: Resolve = async () => [{ address: '127.0.0.1', family: 4 }];
      expect(await guardOf([], resolve).problem(`http://${name}/`)).toContain('must not lead to 127.0.0.1');
    },
  );

  it('that was public when it was saved, and is not when it is connected to, is refused then', async () => {
    const answers = ['93.184.216.34', '169.254.169.254'];
    const resolve: Resolve = async () => [{ address: answers.shift() ?? '', family: 4 }];
    const guard = guardOf([], resolve);
    expect(await guard.problem('https://rebinds.example/')).toBeNull();
    expect(await lookUp(resolve, 'https://rebinds.example/')).toContain('169.254.169.254');
  });

  it('with a scope in its address is refused', async () => {
    const resolve: Resolve = async () => [{ address: 'fe80::1%eth0', family: 6 }];
    expect(await guardOf([], resolve).problem('https://scoped.example/')).toContain('not public');
  });

  it('that can not be resolved now may be saved', async () => {
    const away: Resolve = async () => Promise.reject(new Error('ENOTFOUND'));
    expect(await guardOf([], away).problem('https://later.example/')).toBeNull();
    expect(await lookUp(away, 'https://later.example/')).toBe('ENOTFOUND');
  });
});

describe('WAFER_CALLBACK_HOSTS', () => {
  const resolve: Resolve = async (name) => [{ address: name === 'inner.example' ? '10.2.3.4' : '10.9.9.9', family: 4 }];
  it.each([
    ['127.0.0.1:9000', 'http://127.0.0.1:9000/', true],
    ['127.0.0.1:9000', 'http://127.0.0.1:9001/', false],
    ['127.0.0.1', 'http://0x7f.1:9001/', true],
    ['127.1:80', 'http://127.0.0.1/', true],
    ['localhost:443', 'https://localhost/', true],
    ['localhost:443', 'http://localhost/', false],
    ['[::1]:80', 'http://[0:0::1]/', true],
    ['::1', 'http://[::1]:5/', true],
    ['inner.example', 'http://inner.example/', true],
    ['inner.example', 'http://other.inner.example/', false],
    ['10.2.0.0/16', 'http://inner.example/', true],
    ['10.2.0.0/16', 'http://other.example/', false],
    ['10.2.0.0/16', 'http://10.2.255.255/', true],
    ['10.2.0.0/16', 'http://10.3.0.0/', false],
    ['fd00::/8', 'http://[fd12::1]/', true],
    ['fd00::/8', 'http://10.2.3.4/', false],
  ])('%s lets %s pass: %s', async (allowed, url, passes) => {
    expect((await guardOf([allowed], resolve).problem(url)) === null).toBe(passes);
  });

  it('lets no other kind of URL pass', async () => {
    expect(await guardOf(['localhost']).problem('http://u:p@localhost/')).toContain('must not hold');
    expect(await guardOf(['localhost']).problem('ftp://localhost/')).toContain('must begin with');
  });
});

describe('onSuccess and onFailure', () => {
  const check = (config: { onSuccess?: string; onFailure?: string }) =>
    assertFollowers(guardOf(['10.0.0.9:8080']))(config);

  it('that lead to an address that is not public are refused when a version is saved', async () => {
    await expect(check({ onFailure: 'http://169.254.169.254/latest' })).rejects.toMatchObject({
      code: 'invalid_config',
      message: expect.stringContaining('/onFailure: must not lead to 169.254.169.254'),
      details: { path: '/onFailure' },
    });
    await expect(check({ onSuccess: 'http://[::ffff:127.0.0.1]:8080/' })).rejects.toMatchObject({
      message: expect.stringContaining('/onSuccess: must not lead to ::ffff:7f00:1'),
    });
  });

  it('that name functions, public URLs, or what is allowed are kept', async () => {
    await check({ onSuccess: 'next-one', onFailure: 'https://example.org/' });
    await check({ onSuccess: 'http://10.0.0.9:8080/' });
  });
});
