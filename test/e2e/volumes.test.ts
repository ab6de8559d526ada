/** Volumes from the command line to the file: made, mounted, kept, read, limited, taken back. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../helpers/paths.ts';
import { type Reply, startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

/** Does what the event says, below /data. */
const CODE = `import { appendFileSync, existsSync, readFileSync, readdirSync, writeFileSync, rmSync } from 'node:fs';
export const handler = async ({ write, append, read, remove, fail, ms } = {}) => {
  if (write) writeFileSync('/data/' + write[0], write[1]);
  if (append) appendFileSync('/data/' + append[0], append[1]);
  if (remove) rmSync('/data/' + remove, { recursive: true });
  if (ms) await new Promise((resolve) => setTimeout(resolve, ms));
  if (fail === 'throw') throw new Error('on purpose');
  if (fail === 'exit') process.exit(3);
  return read ? (existsSync('/data/' + read) ? readFileSync('/data/' + read, 'utf8') : null) : readdirSync('/data').sort();
};`;
const files = { 'index.mjs': CODE };
const at = (volume: string, mode = 'rw', path = '/data') => ({ volumes: [{ volume, path, mode }] });
const VOLUMES = [
  'kept',
  'shared',
  'turns',
  'apart',
  'small',
  'ranges',
  'reports',
  'counter',
  'room',
  'counted',
  'plain',
];
const FUNCTIONS = [
  'vol-kept',
  'vol-a',
  'vol-b',
  'vol-tx',
  'vol-turns',
  'vol-ro',
  'vol-opt',
  'vol-small',
  'vol-snap',
  'vol-bad',
  'vol-py',
  'vol-room',
  'vol-counted',
  'vol-plain',
  'report-to-volume',
  'sqlite-counter',
];

let wafer: TestPlatform;
const cleanUp = async () => {
  for (const name of FUNCTIONS) await wafer.remove(name);
  for (const name of VOLUMES)
    await until(`${name} is removed`, async () => {
      const { status } = await wafer.fetch(`/v1/volumes/${name}`, { method: 'DELETE' });
      return status === 204 || status === 404;
    });
};
beforeAll(async () => {
  wafer = await startTestPlatform();
  await cleanUp();
});
afterAll(async () => {
  if (wafer === undefined) return;
  await cleanUp();
  await wafer.stop();
});

const startOf = (reply: Reply) => reply.headers.get('x-wafer-start');
const body = async (reply: Promise<Reply>) => (await reply).body;
const codeOf = (reply: Reply) => (reply.body as { code?: string }).code;
async function volume(...args: string[]) {
  const result = await wafer.wafer(['volume', ...args]);
  expect(result.status, `${args.join(' ')}: ${result.stderr}`).toBe(0);
  return result.stdout;
}

describe('a volume', () => {
  it('is made by the CLI, written to by a function on a blank, and keeps what is in it over instances and versions', async () => {
    await volume('create', 'kept');
    await wafer.deploy('vol-kept', files, at('kept'));
    expect(await body(wafer.invoke('vol-kept', { write: ['f', 'one'] }))).toEqual(['f']);
    await until('a first call takes a blank', async () => {
      await wafer.deploy('vol-kept', files, at('kept'));
      const reply = await wafer.invoke('vol-kept', { read: 'f' });
      expect(reply.body).toBe('one');
      return startOf(reply) === 'blank';
    });
    expect(startOf(await wafer.invoke('vol-kept', { read: 'f' }))).toBe('warm');
    await wafer.stop();
    wafer = await startTestPlatform();
    expect(await body(wafer.invoke('vol-kept', { read: 'f' }))).toBe('one');
  });

  it('is shared by functions, of any runtime, at the path that each names', async () => {
    await volume('create', 'shared');
    await wafer.deploy('vol-a', files, at('shared'));
    await wafer.deploy('vol-b', files, at('shared', 'ro'));
    const python =
      'def handler(event, context):\n    open("/var/lib/here/from-py", "w").write("py")\n    return open("/var/lib/here/f").read()\n';
    await wafer.deploy('vol-py', { 'main.py': python }, at('shared', 'rw', '/var/lib/here'));
    await wafer.invoke('vol-a', { write: ['f', 'x'] });
    expect(await body(wafer.invoke('vol-py', {}))).toBe('x');
    expect(await body(wafer.invoke('vol-b', { read: 'from-py' }))).toBe('py');
    expect((await wafer.invoke('vol-b', { write: ['f', 'y'] })).body).toMatchObject({ code: 'function_error' });
  });

  it('is not removed while a function mounts it, and is named when it is missing', async () => {
    expect((await wafer.wafer(['volume', 'rm', 'kept'])).stderr).toContain('vol-kept');
    await expect(wafer.deploy('vol-bad', files, at('no-such'))).rejects.toThrow(/wafer volume create no-such/);
    await expect(wafer.deploy('vol-bad', files, at('kept', 'tx'))).rejects.toThrow(/transactions/);
    await expect(wafer.deploy('vol-bad', files, at('kept', 'rw', '/etc/x'))).rejects.toThrow(/\/volumes\/0\/path/);
    await expect(wafer.deploy('vol-bad', files, { volumes: [{ volume: 'kept', paht: '/d' }] })).rejects.toThrow(/path/);
  });

  it('is listed, described and fetched, whole and in parts', async () => {
    await volume('create', 'ranges');
    const dir = await mkdtemp(join(tmpdir(), 'wafer-volumes-'));
    await writeFile(join(dir, 'digits.txt'), '0123456789');
    await volume('cp', join(dir, 'digits.txt'), 'ranges:/');
    expect(await volume('cat', 'ranges:/digits.txt')).toBe('0123456789');
    expect(await volume('files', 'ranges')).toContain('digits.txt');
    expect(await volume('ls')).toContain('ranges');
    expect(JSON.parse(await volume('inspect', 'ranges', '--json'))).toMatchObject({
      name: 'ranges',
      usage: { entries: 1 },
    });
    const fetchPart = (range: string, more = {}) =>
      wafer.fetch('/v1/volumes/ranges/content?path=/digits.txt', { headers: { range, ...more } });
    const part = await fetchPart('bytes=2-4');
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 2-4/10', '234']);
    expect(await (await fetchPart('bytes=-3')).text()).toBe('789');
    expect(await (await fetchPart('bytes=7-')).text()).toBe('789');
    expect((await fetchPart('bytes=10-')).status).toBe(416);
    expect((await fetchPart('bytes=2-4', { 'if-range': '"other"' })).status).toBe(200);
    expect((await wafer.fetch('/v1/volumes/ranges/content?path=/nothing')).status).toBe(404);
    await volume('cp', 'ranges:/digits.txt', join(dir, 'back.txt'));
    expect(await readFile(join(dir, 'back.txt'), 'utf8')).toBe('0123456789');
    await rm(dir, { recursive: true });
  });
});

describe('a volume with a limit', () => {
  it('that is full ends the calls that write to it, is told apart from a full disk, and serves again with more room', async () => {
    await volume('create', 'room', '--size', '64k');
    await wafer.deploy('vol-room', files, at('room'));
    expect(await body(wafer.invoke('vol-room', { write: ['f', 'x'] }))).toEqual(['f']);
    // It may be done before it is measured; one that goes on is ended.
    const written = await wafer.invoke('vol-room', { write: ['big', 'x'.repeat(200_000)], ms: 60_000 });
    expect([written.status, codeOf(written)]).toEqual([507, 'volume_full']);
    const refused = await wafer.invoke('vol-room', {});
    expect([refused.status, codeOf(refused)]).toEqual([507, 'volume_full']);
    await volume('limit', 'room', '--size', '10m');
    expect(await body(wafer.invoke('vol-room', {}))).toEqual(['big', 'f']);
  });
});

describe('a volume with transactions', () => {
  it('has what a call wrote when the call has succeeded, and nothing of one that failed', async () => {
    await volume('create', 'turns', '--tx', 'exclusive');
    await wafer.deploy('vol-tx', files, { ...at('turns', 'tx'), timeoutMs: 2_000 });
    await wafer.deploy('vol-ro', files, at('turns', 'ro'));
    expect(await body(wafer.invoke('vol-tx', { write: ['f', 'one'] }))).toEqual(['f']);
    expect(await body(wafer.invoke('vol-ro', { read: 'f' }))).toBe('one');
    for (const fail of ['throw', 'exit'])
      expect((await wafer.invoke('vol-tx', { write: ['f', 'half'], fail })).status).toBe(502);
    expect(codeOf(await wafer.invoke('vol-tx', { write: ['f', 'half'], ms: 60_000 }))).toBe('function_timeout');
    expect(await body(wafer.invoke('vol-ro', { read: 'f' }))).toBe('one');
    expect(await body(wafer.invoke('vol-tx', { write: ['g', 'two'] }))).toEqual(['f', 'g']);
    // The same warm reader sees the new state.
    expect(await body(wafer.invoke('vol-ro', {}))).toEqual(['f', 'g']);
  });

  it('loses none of many exclusive writers, also over more states than are kept apart', async () => {
    await wafer.deploy('vol-turns', files, { ...at('turns', 'tx'), timeoutMs: 300_000 });
    const before = ((await body(wafer.invoke('vol-ro', { read: 'log' }))) ?? '') as string;
    const writes = Array.from({ length: 20 }, (_, index) =>
      wafer.invoke('vol-turns', { append: ['log', `${index};`] }),
    );
    const statuses = (await Promise.all(writes)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200]));
    const log = (await body(wafer.invoke('vol-ro', { read: 'log' }))) as string;
    const numbers = log
      .slice(before.length)
      .split(';')
      .filter(Boolean)
      .map(Number)
      .sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  it('fails the later of two optimistic writers that overlap, and keeps nothing of it', async () => {
    await volume('create', 'apart', '--tx', 'optimistic');
    await wafer.deploy('vol-opt', files, at('apart', 'tx'));
    const replies = await Promise.all(
      ['a', 'b', 'c'].map((letter) => wafer.invoke('vol-opt', { write: [letter, letter], ms: 1_500 })),
    );
    const won = replies.filter(({ status }) => status === 200);
    const lost = replies.filter(({ status }) => status !== 200);
    expect(won.length).toBeGreaterThan(0);
    for (const reply of lost) expect([reply.status, codeOf(reply)]).toEqual([409, 'volume_conflict']);
    expect((await body(wafer.invoke('vol-opt', {}))) as string[]).toHaveLength(won.length);
  });

  it('takes what is copied into it as one transaction, and goes back to a snapshot', async () => {
    await volume('snapshot', 'turns', 'before');
    await wafer.deploy('vol-snap', files, at('turns@before', 'ro'));
    await wafer.invoke('vol-tx', { remove: 'f' });
    expect(await body(wafer.invoke('vol-tx', { read: 'f' }))).toBeNull();
    expect(await body(wafer.invoke('vol-snap', { read: 'f' }))).toBe('one');
    await volume('rollback', 'turns', 'before');
    expect(await body(wafer.invoke('vol-tx', { read: 'f' }))).toBe('one');
    expect(await body(wafer.invoke('vol-ro', { read: 'f' }))).toBe('one');
  });

  it('refuses what is more than it may have, and is as before', async () => {
    await volume('create', 'small', '--tx', 'exclusive', '--size', '64k', '--inodes', '10');
    await wafer.deploy('vol-small', files, at('small', 'tx'));
    expect((await wafer.invoke('vol-small', { write: ['f', 'x'] })).status).toBe(200);
    const full = await wafer.invoke('vol-small', { write: ['big', 'x'.repeat(200_000)] });
    expect([full.status, codeOf(full)]).toEqual([507, 'volume_full']);
    expect(await body(wafer.invoke('vol-small', {}))).toEqual(['f']);
  });
});

describe('/metrics', () => {
  const scrape = async () => (await wafer.fetch('/metrics')).text();
  const numberIn = (text: string, series: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${series} `))
        ?.slice(series.length) ?? 0,
    );
  /** What each series has grown by. */
  async function growth(series: readonly string[], act: () => Promise<void>): Promise<number[]> {
    const before = await scrape();
    await act();
    const after = await scrape();
    return series.map((one) => numberIn(after, one) - numberIn(before, one));
  }

  it('counts transactions by what became of them, and what was full, and never has the name of a volume', async () => {
    await volume('create', 'counted', '--tx', 'exclusive', '--size', '64k');
    await wafer.deploy('vol-counted', files, { ...at('counted', 'tx'), timeoutMs: 5_000 });
    const series = [
      'wafer_volume_commits_total{result="kept"}',
      'wafer_volume_commits_total{result="unchanged"}',
      'wafer_volume_discards_total{reason="function_error"}',
      'wafer_volume_discards_total{reason="function_timeout"}',
      'wafer_volume_discards_total{reason="volume_full"}',
      'wafer_volume_full_total{mode="tx"}',
    ];
    const grown = await growth(series, async () => {
      for (const name of ['a', 'b']) await wafer.invoke('vol-counted', { write: [name, name] });
      await wafer.invoke('vol-counted', {});
      await wafer.invoke('vol-counted', { write: ['c', 'c'], fail: 'throw' });
      await wafer.invoke('vol-counted', { write: ['c', 'c'], ms: 600_000 });
      await wafer.invoke('vol-counted', { write: ['c', 'x'.repeat(200_000)] });
    });
    expect(grown).toEqual([2, 1, 1, 1, 1, 1]);
    expect(await scrape()).not.toMatch(/^wafer_volume.*counted/m);
  });

  it('has how many volumes, snapshots and instances with one there are, and what they take on the disk', async () => {
    const series = ['wafer_volumes', 'wafer_volume_snapshots', 'wafer_volume_layers'];
    const grown = await growth(series, async () => {
      await volume('create', 'plain');
      await wafer.deploy('vol-plain', files, at('plain'));
      await wafer.invoke('vol-plain', { write: ['f', 'x'.repeat(1_000_000)] });
      await volume('snapshot', 'plain', 'one');
    });
    expect(grown).toEqual([1, 1, 2]);
    expect(numberIn(await scrape(), 'wafer_volume_mounts')).toBeGreaterThan(0);
    await until('all volumes were measured', async () => {
      return numberIn(await scrape(), 'wafer_volume_bytes') >= 2_000_000;
    });
  });
});

describe('the examples', () => {
  const deploy = async (example: string) => {
    const { status, stderr } = await wafer.wafer(['deploy', join(ROOT, 'functions-examples', example)]);
    expect(status, stderr).toBe(0);
  };

  it('report-to-volume writes a picture and a table that are fetched over HTTP', async () => {
    await volume('create', 'reports');
    await deploy('report-to-volume');
    const rows = [
      { label: 'Mon', amount: 3 },
      { label: 'Tue & Wed', amount: 5 },
    ];
    const reply = await wafer.invoke('report-to-volume', { title: 'Sales', rows });
    expect(reply.body).toMatchObject({ files: ['/sales/chart.svg', '/sales/data.csv'] });
    const get = async (path: string) => (await wafer.fetch(`/v1/volumes/reports/content?path=${path}`)).text();
    expect(await get('/sales/chart.svg')).toMatch(/^<svg[\s\S]*Tue &#38; Wed[\s\S]*<\/svg>\n$/);
    expect(await get('/sales/data.csv')).toBe('label,amount\n"Mon",3\n"Tue & Wed",5\n');
  });

  it('sqlite-counter counts every call that succeeded, also many at once, and none that failed', async () => {
    await volume('create', 'counter', '--tx', 'exclusive');
    await deploy('sqlite-counter');
    const calls = Array.from({ length: 12 }, (_, index) =>
      wafer.invoke('sqlite-counter', { by: 1, ...(index % 3 === 2 ? { fail: true } : {}) }),
    );
    const statuses = (await Promise.all(calls)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(8);
    expect(statuses.filter((status) => status === 502)).toHaveLength(4);
    expect(await body(wafer.invoke('sqlite-counter', { by: 0 }))).toEqual({ name: 'visits', value: 8 });
  });
});
