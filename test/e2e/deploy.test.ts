/** Deploys: what is refused leaves nothing; what fails leaves the old version serving; layers are shared. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import tar from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestPlatform, type TestPlatform, toReply } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';
import { makeWheel, serveIndex } from '../helpers/wheels.ts';

let wafer: TestPlatform;
let index: Server;
beforeAll(async () => {
  index = createServer(serveIndex([await makeWheel('wafertest', '1.2.0', 'VALUE = "from a wheel"\n')])).listen(
    0,
    '127.0.0.1',
  );
  await once(index, 'listening');
  const { port } = index.address() as AddressInfo;
  wafer = await startTestPlatform({
    PIP_INDEX_URL: `http://127.0.0.1:${port}/simple/`,
    PIP_EXTRA_INDEX_URL: '',
    PIP_CONFIG_FILE: '/dev/null',
  });
});
afterAll(async () => {
  await wafer?.stop();
  index.close();
});

type Entry = {
  name: string;
  type?: 'file' | 'symlink' | 'character-device' | 'link';
  content?: string;
  linkname?: string;
};

async function archive(entries: Entry[]): Promise<Buffer> {
  const pack = tar.pack();
  for (const { name, type = 'file', content = '', linkname } of entries)
    pack.entry({ name, type, ...(linkname === undefined ? {} : { linkname }) }, content);
  pack.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of pack) chunks.push(chunk as Buffer);
  return gzipSync(Buffer.concat(chunks));
}

async function put(name: string, body: Buffer, config: object = {}) {
  const form = new FormData();
  form.set('config', new Blob([JSON.stringify(config)], { type: 'application/json' }));
  form.set('archive', new Blob([new Uint8Array(body)], { type: 'application/gzip' }), 'function.tar.gz');
  return toReply(await wafer.fetch(`/v1/functions/${name}`, { method: 'PUT', body: form }));
}

const images = async () => (await (await wafer.fetch('/v1/images')).json()) as unknown;
const HELLO = { name: 'index.mjs', content: 'export const handler = () => "hello";' };

describe('PUT /v1/functions/{name}', () => {
  const refused = [
    { what: 'a path with ..', entries: [HELLO, { name: '../evil', content: 'x' }], code: 'invalid_archive' },
    { what: 'an absolute path', entries: [HELLO, { name: '/etc/cron.d/x', content: 'x' }], code: 'invalid_archive' },
    {
      what: 'a device',
      entries: [HELLO, { name: 'null', type: 'character-device' as const }],
      code: 'invalid_archive',
    },
    {
      what: 'a link out of the folder',
      entries: [HELLO, { name: 'out', type: 'symlink' as const, linkname: '../../etc/passwd' }],
      code: 'invalid_archive',
    },
    {
      what: 'a file through a link',
      entries: [HELLO, { name: 'a', type: 'symlink' as const, linkname: '.' }, { name: 'a/b', content: 'x' }],
      code: 'invalid_archive',
    },
    {
      what: 'an unknown runtime',
      entries: [HELLO, { name: 'wafer.json', content: '{"runtime":"nodejs"}' }],
      code: 'unknown_runtime',
    },
    {
      what: 'a missing handler',
      entries: [HELLO, { name: 'wafer.json', content: '{"runtime":"node","handler":"main.handler"}' }],
      code: 'missing_handler',
    },
    {
      what: 'a broken wafer.json',
      entries: [HELLO, { name: 'wafer.json', content: '{"memoryMb": }' }],
      code: 'invalid_config',
    },
    {
      what: 'an unknown key',
      entries: [HELLO, { name: 'wafer.json', content: '{"memoryMB": 128}' }],
      code: 'invalid_config',
    },
    {
      what: 'an unknown base',
      entries: [HELLO, { name: 'wafer.json', content: '{"base": "node99"}' }],
      code: 'invalid_config',
    },
  ];
  it.each(refused)('refuses $what and leaves nothing in the store', async ({ entries, code }) => {
    const before = await images();
    const reply = await put('refused', await archive(entries));
    expect(reply.body).toMatchObject({ code });
    expect(reply.status).toBe(400);
    expect(await images()).toEqual(before);
    expect((await wafer.fetch('/v1/functions/refused')).status).toBe(404);
  });

  it('names the JSON path of a wrong setting and the nearest key of an unknown one', async () => {
    const wrong = await put('refused', await archive([HELLO, { name: 'wafer.json', content: '{"memoryMb": "lots"}' }]));
    expect(JSON.stringify(wrong.body)).toContain('/memoryMb');
    const unknown = await put('refused', await archive([HELLO, { name: 'wafer.json', content: '{"timeoutms": 5}' }]));
    expect(JSON.stringify(unknown.body)).toContain('timeoutMs');
  });

  it('keeps the image of a version whose deploy met a removal of the function', async () => {
    const code = (round: number) => ({ 'index.mjs': `export const handler = () => ${round};` });
    for (let round = 0; round < 20; round++) {
      await wafer.deploy('racer', code(round));
      const removed = new Promise((resolve) => setTimeout(resolve, round * 3)).then(() => wafer.remove('racer'));
      await Promise.all([wafer.deploy('racer', code(round + 100)), removed]);
      const found = await wafer.fetch('/v1/functions/racer');
      if (found.status !== 200) continue;
      const { live } = (await found.json()) as { live: { image: string } };
      expect(JSON.stringify(await images())).toContain(live.image);
    }
    await wafer.remove('racer');
  });

  it('keeps warm the version that live names, also after a rollback', async () => {
    const warm = async () => {
      const listed = await (await wafer.fetch('/v1/instances')).json();
      const { instances } = listed as { instances: { functionName: string; version: number; state: string }[] };
      return instances
        .filter(({ functionName, state }) => functionName === 'warmed' && state === 'idle')
        .map(({ version }) => version);
    };
    const first = await wafer.deploy('warmed', { 'index.mjs': 'export const handler = () => 1;' }, { minInstances: 1 });
    await until('the first version is warm', async () => (await warm()).includes(first.number));
    const second = await wafer.deploy(
      'warmed',
      { 'index.mjs': 'export const handler = () => 2;' },
      { minInstances: 1 },
    );
    await until('only the second is', async () => String(await warm()) === String([second.number]));
    await wafer.wafer(['rollback', 'warmed']);
    await until('the first is again', async () => (await warm()).includes(first.number));
    await wafer.remove('warmed');
  });

  it('has what a new version keeps warm before that of the old one ends', async () => {
    const seen: string[] = [];
    const look = async () => {
      const listed = await (await wafer.fetch('/v1/instances')).json();
      const { instances } = listed as { instances: { functionName: string; version: number; state: string }[] };
      const mine = instances.filter(({ functionName, state }) => functionName === 'handed-on' && state === 'idle');
      const numbers = String(mine.map(({ version }) => version).sort());
      if (seen.at(-1) !== numbers) seen.push(numbers);
      return numbers;
    };
    const slow = 'await new Promise((resolve) => setTimeout(resolve, 1_500));\nexport const handler = () => 2;';
    const keep = { minInstances: 1 };
    const { number } = await wafer.deploy('handed-on', { 'index.mjs': 'export const handler = () => 1;' }, keep);
    await until('the first version is warm', async () => (await look()) === String(number));
    await wafer.deploy('handed-on', { 'index.mjs': slow }, keep);
    await until('the second one is', async () => (await look()) === String(number + 1));
    // From the first one being there on, one was at any time.
    expect(seen.slice(seen.indexOf(String(number)))).not.toContain('');
    await wafer.remove('handed-on');
  });

  it('refuses what is no archive', async () => {
    expect((await put('refused', Buffer.from('<html>not found</html>'))).status).toBeGreaterThanOrEqual(400);
  });

  it('keeps the old version serving when a build fails, and says which step with its last output', async () => {
    await wafer.deploy('keeps', { 'index.mjs': 'export const handler = () => 1;' });
    const broken = await put(
      'keeps',
      await archive([
        { name: 'index.ts', content: 'export const handler = () => { return (;' },
        { name: 'wafer.json', content: '{"runtime":"node"}' },
      ]),
    );
    expect(broken).toMatchObject({ status: 422, body: { code: 'build_failed' } });
    expect(JSON.stringify(broken.body)).toMatch(/bundle typescript/);
    expect(JSON.stringify(broken.body)).toMatch(/index\.ts:1/);
    expect((await wafer.invoke('keeps')).body).toBe(1);
    await wafer.remove('keeps');
  });

  it('makes a new version each time, and an alias moves back to an old one', async () => {
    const first = await wafer.deploy('rolls', { 'index.mjs': 'export const handler = () => "first";' });
    const second = await wafer.deploy('rolls', { 'index.mjs': 'export const handler = () => "second";' });
    expect(second.number).toBe(first.number + 1);
    expect((await wafer.invoke('rolls')).body).toBe('second');
    expect((await wafer.invoke('rolls', undefined, `?version=${first.number}`)).body).toBe('first');
    const back = await wafer.wafer(['rollback', 'rolls']);
    expect(back.status, back.stderr).toBe(0);
    expect((await wafer.invoke('rolls')).body).toBe('first');
    await wafer.remove('rolls');
  });

  it('adds less than 64 KiB for a second small function', async () => {
    await wafer.deploy('small-1', { 'index.mjs': 'export const handler = () => 1;' });
    const second = await wafer.deploy('small-2', { 'index.mjs': 'export const handler = () => 2;' });
    expect(second.addedBytes).toBeLessThan(64 * 1024);
    await Promise.all([wafer.remove('small-1'), wafer.remove('small-2')]);
  });

  it('installs Python dependencies from an index on the host, once for the same requirements', async () => {
    const files = {
      'main.py': 'import wafertest\n\ndef handler(event, context):\n    return wafertest.VALUE\n',
      'requirements.txt': 'wafertest==1.2.0\n',
    };
    const first = await wafer.deploy('wheels', files);
    expect((await wafer.invoke('wheels')).body).toBe('from a wheel');
    const second = await wafer.deploy('wheels-too', files);
    expect(second.addedBytes).toBeLessThan(first.addedBytes);
    expect((await wafer.invoke('wheels-too')).body).toBe('from a wheel');
    await Promise.all([wafer.remove('wheels'), wafer.remove('wheels-too')]);
  });

  it('fails with the last output of pip when a package does not exist', async () => {
    const reply = await put(
      'nowheel',
      await archive([
        { name: 'main.py', content: 'def handler(e, c): return 1' },
        { name: 'requirements.txt', content: 'no-such-thing==9\n' },
      ]),
    );
    expect(reply).toMatchObject({ status: 422, body: { code: 'build_failed' } });
    expect(JSON.stringify(reply.body)).toMatch(/no-such-thing/);
  });
});
