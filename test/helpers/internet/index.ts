/** Sandboxes with egress, and an internet of the test's own around them; see `world.ts`. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import tar from 'tar-stream';
import { ROOT } from '../paths.ts';
import { openTestHost } from '../sandbox-host.ts';
import { TEST_DATA } from '../test-data.ts';
import type { Zone } from './dns-server.ts';
import type { Seen, Visit, WorldOptions } from './world.ts';

export interface Internet {
  visit(visit: Visit): Promise<Seen>;
  close(): Promise<void>;
}

const run = promisify(execFile);
const HERE = import.meta.dirname;
const LAYER = 'e9e55'.padEnd(64, '0');

export async function openInternet(zone: Zone): Promise<Internet> {
  const dir = await mkdtemp(join(tmpdir(), 'wafer-internet-'));
  const test = await openTestHost();
  const enter = join(dir, 'enter');
  await run('gcc', ['-O1', '-o', enter, join(HERE, 'enter.c')]);
  await unpackClient(test.host);
  const options: WorldOptions = {
    enginePath: join(ROOT, 'runtime/engine/build/wafer-engine'),
    languagesDir: join(ROOT, 'runtime/languages'),
    layersDir: join(TEST_DATA, 'store/layers'),
    layers: test.base('node24').layers,
    codeLayer: LAYER,
    zone,
    ...(await makeCertificate(dir, Object.keys(zone))),
  };
  const argv = [process.execPath, '--import', 'tsx', join(HERE, 'world.ts'), JSON.stringify(options)];
  const world = spawn(enter, argv, { cwd: ROOT, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: world.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the internet of the test ended; see above');
    return JSON.parse(value) as Seen;
  };
  await next(); // it is ready
  return {
    visit(visit) {
      world.stdin.write(`${JSON.stringify(visit)}\n`);
      return next();
    },
    async close() {
      const closed = once(world, 'close');
      world.stdin.end();
      await closed;
      await test.host.removeLayer(LAYER);
      await test.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function unpackClient(host: Awaited<ReturnType<typeof openTestHost>>['host']): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: [join(HERE, 'client.ts')],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  });
  const pack = tar.pack();
  pack.entry({ name: 'function/', type: 'directory' });
  pack.entry({ name: 'function/client.mjs', mode: 0o644 }, Buffer.from(outputFiles[0]?.contents ?? []));
  pack.finalize();
  await host.removeLayer(LAYER);
  await host.unpack(LAYER, pack.pipe(new PassThrough()));
}

/** For all names of the zone; it is its own authority. */
async function makeCertificate(dir: string, names: string[]): Promise<{ key: string; cert: string }> {
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  const subject = ['-subj', '/CN=test', '-addext', `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}`];
  await run('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-keyout',
    key,
    '-out',
    cert,
    ...subject,
  ]);
  return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') };
}
