/** Secrets in real sandboxes: what functions get, rotation, and that a value lies nowhere else. */
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliResult, type Reply, startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { TEST_DATA } from '../helpers/test-data.ts';
import { until } from '../helpers/until.ts';

/** Says what it was given without saying it. */
const LOOK = `
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
const hash = (value) => createHash('sha256').update(value ?? '').digest('hex').slice(0, 16);
const atLoad = hash(process.env.CANARY);
export const look = () => {
  let write = 'allowed';
  try { writeFileSync('/run/secrets/more', 'x'); } catch (error) { write = error.code; }
  const { mode, uid } = statSync('/run/secrets/canary-file');
  return {
    file: hash(readFileSync('/run/secrets/canary-file')), env: hash(process.env.CANARY), atLoad,
    names: readdirSync('/run/secrets'), mode: (mode & 0o777).toString(8), mine: uid === process.getuid(), write,
    initial: readFileSync('/proc/self/environ', 'latin1').includes('CANARY'),
  };
};`;
const NODE = {
  'look.mjs': LOOK,
  'index.mjs': `import { look } from './look.mjs';
export const handler = async (event) => {
  if (event?.print) { console.log('printed', process.env.CANARY); console.error(JSON.stringify({ a: process.env.CANARY })); }
  if (event?.fail) throw new Error('can not log in with ' + process.env.CANARY);
  if (event?.ms) await new Promise((resolve) => setTimeout(resolve, event.ms));
  return look();
};`,
};
const PYTHON = {
  'main.py': `import hashlib, os
at_load = hashlib.sha256(os.environ["CANARY"].encode()).hexdigest()[:16]

def handler(event, context):
    with open("/run/secrets/canary-file", "rb") as file:
        value = file.read()
    if event and event.get("fail"):
        raise ValueError("can not log in with " + os.environ["CANARY"])
    return {"file": hashlib.sha256(value).hexdigest()[:16], "env": at_load}
`,
};
const HTTP = {
  'look.mjs': LOOK,
  'server.mjs': `import { createServer } from 'node:http';
import { look } from './look.mjs';
createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(look()));
}).listen(Number(process.env.PORT), '127.0.0.1');`,
};
const IMAGE = {
  'look.mjs': LOOK,
  'main.mjs': `import { look } from './look.mjs';\nconsole.log(JSON.stringify(look()));`,
  Dockerfile: 'FROM node24\nCOPY look.mjs main.mjs /srv/\nCMD ["node", "/srv/main.mjs"]\n',
};
const OWN_ROOT = { ...NODE, Dockerfile: 'FROM node24\nCOPY look.mjs index.mjs /function/\n' };
const GIVEN = { secrets: ['canary-file'], secretEnv: { CANARY: 'canary-env' } };
const KINDS: [string, Record<string, string>, object][] = [
  ['secret-node', NODE, {}],
  ['secret-python', PYTHON, {}],
  ['secret-http', HTTP, { runtime: 'http', command: ['node', 'server.mjs'] }],
  ['secret-image', IMAGE, { dockerfile: 'Dockerfile', runtime: 'image' }],
  ['secret-root', OWN_ROOT, { dockerfile: 'Dockerfile', runtime: 'node' }],
];
const NAMES = [...KINDS.map(([name]) => name), 'secret-none', 'secret-kept', 'secret-busy', 'secret-later'];

const canary = (what: string) => `canary-${what}-${randomBytes(12).toString('hex')}`;
/** All that were ever set. */
const planted: string[] = [];
const plant = (what: string): string => {
  const value = canary(what);
  planted.push(value);
  return value;
};
const hashOf = (value: string) => createHash('sha256').update(value).digest('hex').slice(0, 16);

let wafer: TestPlatform;
let dir: string;
/** Of every command: nothing of it may hold a value. */
const said: string[] = [];
const current = { file: '', env: '' };

const run = async (args: string[], input?: string): Promise<CliResult> => {
  const result = await wafer.wafer(args, input === undefined ? {} : { input });
  said.push(result.stdout, result.stderr);
  return result;
};
async function setBoth(how: 'set' | 'rotate'): Promise<void> {
  for (const which of ['file', 'env'] as const) {
    current[which] = plant(which);
    const result = await run(['secret', how, `canary-${which}`], `${current[which]}\n`);
    expect(result.stderr + result.stdout).toContain('is set: version');
    expect(result.status).toBe(0);
  }
}
const expected = () => ({ file: hashOf(current.file), env: hashOf(current.env) });
const startOf = (reply: Reply) => reply.headers.get('x-wafer-start');
const instancesOf = async (name: string) => {
  const { instances } = (await (await wafer.fetch('/v1/instances')).json()) as {
    instances: { id: string; functionName: string; state: string }[];
  };
  return instances.filter(({ functionName }) => functionName === name);
};

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wafer-secrets-'));
  wafer = await startTestPlatform({ WAFER_LOG_LEVEL: 'trace' });
  await setBoth('set');
  for (const [name, files, config] of KINDS) await wafer.deploy(name, files, { ...config, ...GIVEN });
});
afterAll(async () => {
  for (const name of NAMES) await wafer?.remove(name);
  for (const name of ['canary-file', 'canary-env', 'canary-pem']) await wafer?.wafer(['secret', 'rm', name, '--force']);
  await wafer?.stop();
  await rm(dir, { recursive: true, force: true });
});

describe('a function', () => {
  it.each(KINDS)('%s gets its secrets, as a file and as a variable, before its code is loaded', async (name) => {
    const reply = await wafer.invoke(name, {});
    expect(reply.body).toMatchObject(expected());
    if (name === 'secret-python') return;
    expect(reply.body).toMatchObject({
      atLoad: hashOf(current.env),
      names: ['canary-file'],
      mode: '400',
      mine: true,
      write: 'EROFS',
    });
    // Where the platform's own runtime starts the code, the variable is not in what the kernel shows of the process.
    if (name === 'secret-node') expect(reply.body).toMatchObject({ initial: false });
    expect(startOf(reply)).not.toBe('warm');
  });

  it('that names none sees nothing of those of others', async () => {
    const code = `import { existsSync, readdirSync } from 'node:fs';
      export const handler = () => ({
        names: readdirSync('/run/secrets'), env: Object.keys(process.env).filter((name) => name.includes('CANARY')) });`;
    await wafer.deploy('secret-none', { 'index.mjs': code });
    expect((await wafer.invoke('secret-none')).body).toEqual({ names: [], env: [] });
  });

  it('that prints a secret or fails with it shows stars', async () => {
    const printed = await wafer.invoke('secret-node', { print: true });
    expect(printed.status).toBe(200);
    const failed = await Promise.all(
      ['secret-node', 'secret-python'].map((name) => wafer.invoke(name, { fail: true })),
    );
    for (const reply of failed) {
      expect(reply.status).toBe(502);
      expect(JSON.stringify(reply.body)).toContain('can not log in with ***');
      said.push(JSON.stringify(reply.body));
    }
    const { stdout } = await run(['logs', 'secret-node', '--json']);
    expect(stdout).toContain('printed ***');
    expect(stdout).toContain(String.raw`{\"a\":\"***\"}`);
  });
});

describe('a deploy', () => {
  it('that names an unknown secret fails, says what to do, and leaves nothing', async () => {
    const init = {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ config: { secrets: ['canary-fiel'] }, files: NODE }),
    };
    const reply = await wafer.fetch('/v1/functions/secret-later', init);
    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({
      code: 'invalid_config',
      detail: '/secrets/0: There is no secret "canary-fiel". Did you mean "canary-file"?',
      hint: 'Set it first: wafer secret set canary-fiel',
    });
    expect((await wafer.fetch('/v1/functions/secret-later')).status).toBe(404);
  });
});

describe('rotation', () => {
  it('reaches warm instances of every kind: the next call has the new values', async () => {
    for (const [name] of KINDS) await wafer.invoke(name, {});
    await setBoth('rotate');
    for (const [name] of KINDS) expect((await wafer.invoke(name, {})).body).toMatchObject(expected());
  });

  it('lets a call that runs end with what it has', async () => {
    await wafer.deploy('secret-busy', NODE, GIVEN);
    const before = expected();
    const running = wafer.invoke('secret-busy', { ms: 2_000 });
    await until('it runs', async () => (await instancesOf('secret-busy')).some(({ state }) => state === 'busy'));
    await setBoth('rotate');
    expect((await running).body).toMatchObject(before);
    expect((await wafer.invoke('secret-busy', {})).body).toMatchObject(expected());
  });

  it('reaches those that were started ahead and had no call, and those that are frozen', async () => {
    await wafer.deploy('secret-kept', NODE, { ...GIVEN, minInstances: 1 });
    const idle = async () => (await instancesOf('secret-kept')).find(({ state }) => state === 'idle');
    const first = await until('one is kept', idle);
    // It stands still after a while without calls; its state is what the engine can see of it.
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    await setBoth('rotate');
    const second = await until('another is kept', async () => {
      const one = await idle();
      return one !== undefined && one.id !== first.id ? one : false;
    });
    const reply = await wafer.invoke('secret-kept', {});
    expect(startOf(reply)).toBe('warm');
    expect(reply.body).toMatchObject(expected());
    expect((await instancesOf('secret-kept')).map(({ id }) => id)).toEqual([second.id]);
  });

  it('does not reach a function that pins a version', async () => {
    const { versions } = (await (await wafer.fetch('/v1/secrets/canary-file')).json()) as {
      versions: { version: number }[];
    };
    const pinned = versions.at(-1)?.version ?? 0;
    await wafer.deploy('secret-busy', NODE, {
      secrets: [`canary-file@${pinned}`],
      secretEnv: { CANARY: 'canary-env' },
    });
    const { file } = expected();
    await setBoth('rotate');
    const { env } = expected();
    expect((await wafer.invoke('secret-busy', {})).body).toMatchObject({ file, env });
  });
});

describe('removal', () => {
  it('is refused while functions use the secret; forced, their next instances fail and say why', async () => {
    const refused = await run(['secret', 'rm', 'canary-env']);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('secret-node');
    expect((await run(['secret', 'rm', 'canary-env', '--force'])).status).toBe(0);
    const reply = await wafer.invoke('secret-node', {});
    expect(reply.status).toBe(502);
    expect(reply.body).toMatchObject({ code: 'function_init_failed', detail: 'There is no secret "canary-env".' });
    await setBoth('set');
    expect((await wafer.invoke('secret-node', {})).body).toMatchObject(expected());
  });
});

describe('the CLI', () => {
  it('takes values from stdin and files, never from its arguments, and shows names only', async () => {
    const path = join(dir, 'key.pem');
    await writeFile(path, `${plant('pem')}\n`);
    expect((await run(['secret', 'set', 'canary-pem', '--file', path])).status).toBe(0);
    const refused = await wafer.wafer(['secret', 'set', 'canary-pem', 'a-value-as-an-argument']);
    expect(refused.status).toBe(2);
    expect((await run(['secret', 'set', 'canary-pem'], '')).stderr).toContain('empty');
    const { stdout } = await run(['secret', 'ls']);
    expect(stdout).toMatch(/canary-env .* secret-busy, secret-http/);
    expect((await run(['describe', 'secret-node'])).stdout).toContain('canary-file, canary-env as $CANARY');
    for (const args of [['secret', 'ls', '--json'], ['describe', 'secret-node', '--json'], ['config']]) await run(args);
  });
});

describe('a planted secret', () => {
  /** Paths below `at` that hold a value; what this user may not read no other one may. */
  const grep = (at: string, texts: string[]) =>
    spawnSync('grep', ['-rlaF', '-f', '-', at], { input: texts.join('\n'), encoding: 'utf8' }).stdout.trim();
  const spellings = (value: string) => [
    value,
    Buffer.from(value).toString('base64').slice(2, -4),
    Buffer.from(value).toString('hex'),
  ];

  it('is in no file of the data directory, no log, record, job, metric, answer or output of a command', async () => {
    const accepted = await toJson<{ id: string }>('/v1/functions/secret-node/async', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"print":true}',
    });
    await until('it has ended', async () => {
      const { state } = await toJson<{ state: string }>(`/v1/invocations/${accepted.id}`);
      return state === 'succeeded';
    });
    const pages = ['/metrics', '/v1/secrets', '/v1/functions/secret-node', '/v1/functions/secret-node/versions'];
    const logs = KINDS.map(([name]) => `/v1/functions/${name}/logs?limit=1000`);
    const more = ['/v1/invocations?limit=100', `/v1/invocations/${accepted.id}`, '/v1/instances', '/openapi.json'];
    const texts = [...said, wafer.output()];
    for (const path of [...pages, ...logs, ...more]) texts.push(await (await wafer.fetch(path)).text());
    const all = texts.join('\n');
    expect(all).toContain('printed ***');
    const looked = planted.flatMap(spellings);
    for (const text of looked) expect(all).not.toContain(text);
    expect(grep(TEST_DATA, looked)).toBe('');
    // What is looked for can be found.
    await writeFile(join(dir, 'plain'), `x${planted[0]}y`);
    expect(grep(dir, planted.slice(0, 1))).toBe(join(dir, 'plain'));
  });

  it('is encrypted with a key that only this user may read', () => {
    const path = join(TEST_DATA, 'secrets.key');
    expect(statSync(path).mode & 0o777).toBe(0o400);
    expect(wafer.output()).not.toContain(readFileSync(path, 'utf8').trim());
  });
});

const toJson = async <T>(path: string, init?: RequestInit): Promise<T> =>
  (await (await wafer.fetch(path, init)).json()) as T;
