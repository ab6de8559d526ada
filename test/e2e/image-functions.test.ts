/** Functions that are images: by Dockerfile, by reference, by label; what runs, what is kept, and what a failure leaves. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DockerRegistry, startDockerRegistry } from '../helpers/docker-registry.ts';
import { type Folders, openFolders } from '../helpers/folders.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

/** So that every run of the tests has layers of its own. */
const SALT = `image-functions-${process.pid}-${Date.now()}`;
const SERVER = `import { createServer } from 'node:http';
createServer((request, response) => {
  let body = '';
  request.on('data', (chunk) => (body += chunk)).on('end', () => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ path: request.url, body, port: process.env.PORT, cwd: process.cwd(), pid: process.pid, uid: process.getuid() }));
  });
}).listen(Number(process.env.PORT), '127.0.0.1');
`;

let wafer: TestPlatform;
let registry: DockerRegistry;
let folders: Folders;
beforeAll(async () => {
  folders = await openFolders('wafer-image-functions-');
  registry = await startDockerRegistry(join(folders.dir, 'registry'));
  wafer = await startTestPlatform({ WAFER_INSECURE_REGISTRIES: registry.host });
});
afterAll(async () => {
  for (const name of deployed) await wafer?.remove(name);
  await wafer?.stop();
  await registry?.close();
  await folders?.remove();
});

const deployed = new Set<string>();
interface Version {
  number: number;
  image: string;
  base: string;
  addedBytes: number;
  config: Record<string, unknown>;
  from?: object;
}

async function deploy(name: string, ...args: string[]): Promise<{ version: Version; log: string }> {
  deployed.add(name);
  const result = await wafer.wafer(['deploy', ...args, '--name', name, '--json']);
  expect(result.status, result.stderr).toBe(0);
  return { version: JSON.parse(result.stdout) as Version, log: result.stderr };
}

async function refused(...args: string[]): Promise<string> {
  const result = await wafer.wafer(['deploy', ...args]);
  expect(result.status, result.stdout).not.toBe(0);
  return result.stderr;
}

async function built(tag: string, files: Record<string, string>): Promise<string> {
  const result = await wafer.wafer(['build', await folders.make(files), '-t', tag, '--json']);
  expect(result.status, result.stderr).toBe(0);
  return (JSON.parse(result.stdout) as { digest: string }).digest;
}

const usage = async () =>
  (await (await wafer.fetch('/v1/images/df')).json()) as { images: number; layers: number; blobsBytes: number };
const script = (text: string, more = '') => ({
  'run.sh': `#!/bin/sh\n${text}\n`,
  Dockerfile: `FROM debian12\nENV SALT=${SALT}\nCOPY run.sh /app/run.sh\n${more}ENTRYPOINT ["/app/run.sh"]\n`,
});

describe('a folder with a Dockerfile', () => {
  it('is deployed without wafer.json: each call runs its entrypoint, event on stdin, answer on stdout', async () => {
    const folder = await folders.make(
      script(
        'echo "got a call" >&2; printf \'{"event": %s, "uid": %s, "where": "%s", "mine": "%s", "home": "%s"}\' "$(cat)" "$(id -u)" "$PWD" "$MINE" "$HOME"',
        'WORKDIR /srv/work\nENV MINE=set\nUSER nobody\n',
      ),
    );
    const { version, log } = await deploy('if-stdin', folder);
    expect(log).toMatch(/to be built by Dockerfile/);
    expect(log).toMatch(/COPY run.sh/);
    expect(version).toMatchObject({ base: '', from: { kind: 'dockerfile', path: 'Dockerfile' } });
    expect(version.config).toMatchObject({ runtime: 'image', command: ['/app/run.sh'], concurrency: 1 });
    const reply = await wafer.invoke('if-stdin', { a: [1, 'ä'] });
    expect(reply.headers.get('content-type')).toMatch(/^application\/json/);
    expect(reply.body).toEqual({
      event: { a: [1, 'ä'] },
      uid: 1000,
      where: '/srv/work',
      mine: 'set',
      home: '/tmp',
    });
    expect(reply.headers.get('x-wafer-start')).toBe('cold');
    const id = reply.headers.get('x-wafer-invocation') ?? '';
    const logs = await wafer.wafer(['logs', 'if-stdin', '--invocation', id]);
    expect(logs.stdout).toContain('got a call');
  });

  it('gives the program who calls it, and no trace of the call before', async () => {
    const folder = await folders.make(
      script('ls /tmp; touch /tmp/left; echo "$WAFER_FUNCTION $WAFER_VERSION $WAFER_INVOCATION_ID $WAFER_DEADLINE_MS"'),
    );
    const { version } = await deploy('if-context', folder);
    for (let call = 0; call < 2; call++) {
      const reply = await wafer.invoke('if-context', {});
      const id = reply.headers.get('x-wafer-invocation');
      expect(reply.headers.get('content-type')).toBe('text/plain; charset=utf-8');
      expect(reply.body).toMatch(new RegExp(`^if-context ${version.number} ${id} \\d{13}\n$`));
    }
  });

  it('keeps a sandbox ready when wafer.json asks for it, and another after each call', async () => {
    const folder = await folders.make({
      ...script('cat'),
      'wafer.json': JSON.stringify({ runtime: 'image', minInstances: 1, memoryMb: 64 }),
      '.dockerignore': '*\n!run.sh\n',
    });
    const { version } = await deploy('if-warm', folder);
    expect(version.config).toMatchObject({ minInstances: 1, memoryMb: 64 });
    const warm = async () => (await wafer.invoke('if-warm', 1)).headers.get('x-wafer-start') === 'warm';
    for (let call = 0; call < 3; call++) await until('a sandbox is ready', warm);
  });

  it('has a sandbox parked after a call, for the next one', async () => {
    await deploy('if-parked', await folders.make(script('cat')));
    const starts: (string | null)[] = [];
    await until('a call found one', async () => {
      starts.push((await wafer.invoke('if-parked', 1)).headers.get('x-wafer-start'));
      return starts.at(-1) === 'warm';
    });
    expect(starts[0]).toBe('cold');
    await wafer.remove('if-parked');
    await until('none is left', async () => {
      const { instances } = (await (await wafer.fetch('/v1/instances')).json()) as {
        instances: { functionName: string }[];
      };
      return !instances.some(({ functionName }) => functionName === 'if-parked');
    });
  });

  it('is a server when its image EXPOSEs a port: it gets that port, calls keep the process', async () => {
    const folder = await folders.make({
      'server.mjs': SERVER,
      Dockerfile: `FROM node24\nENV SALT=${SALT}\nWORKDIR /srv\nCOPY server.mjs .\nEXPOSE 80 3456\nCMD ["node", "server.mjs"]\n`,
    });
    const { version } = await deploy('if-http', folder);
    expect(version.config).toMatchObject({ runtime: 'http', command: ['node', 'server.mjs'] });
    const calls = await Promise.all([wafer.fetch('/fn/if-http/a/b?c=d'), wafer.invoke('if-http', { e: 1 })]);
    const http = (await calls[0].json()) as Record<string, unknown>;
    expect(http).toMatchObject({ path: '/a/b?c=d', port: '3456', cwd: '/srv', uid: 1000 });
    expect(calls[1].body).toMatchObject({ path: '/', body: '{"e":1}' });
    const again = (await (await wafer.fetch('/fn/if-http/')).json()) as Record<string, unknown>;
    expect(again['pid']).toBe(http['pid']);
  });

  it('is built over the image of its runtime with "dockerfile", and its handler is called', async () => {
    const folder = await folders.make({
      'docker/app.Dockerfile': `FROM python3.11\nENV SALT=${SALT}\nRUN echo built > /made\nCOPY main.py /function/main.py\n`,
      'main.py': 'def handler(event, context):\n    return {"made": open("/made").read().strip(), "event": event}\n',
      'wafer.json': '{"runtime": "python", "dockerfile": "docker/app.Dockerfile"}',
    });
    const { version } = await deploy('if-python', folder);
    expect(version.config).toMatchObject({ runtime: 'python', handler: 'main.handler', base: '' });
    expect((await wafer.invoke('if-python', 7)).body).toEqual({ made: 'built', event: 7 });
  });

  it('adds nothing to the store when it is deployed again, and both versions are the same image', async () => {
    const folder = await folders.make(script('echo again'));
    const first = await deploy('if-again', folder);
    const before = await usage();
    const second = await deploy('if-again', folder);
    expect(second.version).toMatchObject({
      number: first.version.number + 1,
      image: first.version.image,
      addedBytes: 0,
    });
    expect(first.version.addedBytes).toBeGreaterThan(0);
    expect(await usage()).toMatchObject({ layers: before.layers, blobsBytes: before.blobsBytes });
  });

  it('leaves the old version serving when a step fails, and says which', async () => {
    await deploy('if-broken', await folders.make(script('echo one')));
    const folder = await folders.make(script('echo two', 'RUN echo before && exit 7\n'));
    const error = await refused(folder, '--name', 'if-broken');
    expect(error).toMatch(/exited with status 7/);
    expect(error).toContain('before');
    expect((await wafer.invoke('if-broken')).body).toBe('one\n');
  });
});

describe('wafer deploy --image', () => {
  it('makes the image itself the version, which stays when its tag goes, and is freed with the function', async () => {
    const digest = await built('if-local:1', script('echo local'));
    const { version, log } = await deploy('if-local', '--image', 'if-local:1');
    expect(log).not.toContain('pull image');
    expect(version).toMatchObject({ image: digest, from: { kind: 'image', reference: 'if-local:1' }, addedBytes: 0 });
    const described = await wafer.wafer(['describe', 'if-local']);
    expect(described.stdout).toMatch(/Runtime +image: its program runs once for each call/);
    expect(described.stdout).toMatch(/Command +\/app\/run.sh/);
    expect(described.stdout).toMatch(/From +if-local:1/);
    expect((await wafer.wafer(['image', 'rm', 'if-local:1'])).status).toBe(0);
    await wafer.wafer(['image', 'prune', '--all']);
    expect((await wafer.invoke('if-local')).body).toBe('local\n');
    const held = await wafer.wafer(['image', 'rm', digest]);
    expect(held.status).not.toBe(0);
    expect((await wafer.wafer(['rm', 'if-local', '--yes'])).status).toBe(0);
    expect((await wafer.wafer(['image', 'inspect', digest])).status).not.toBe(0);
  });

  it('takes the name of the image when none is given, and settings from --config', async () => {
    await built('if-named:1', script('echo "$WORD"'));
    deployed.add('if-named');
    const settings = join(
      await folders.make({ 'settings.json': '{"env": {"WORD": "given"}, "timeoutMs": 5000}' }),
      'settings.json',
    );
    const result = await wafer.wafer(['deploy', '--image', 'if-named:1', '--config', settings]);
    expect(result.stdout).toMatch(/if-named v\d+ is live/);
    expect((await wafer.invoke('if-named')).body).toBe('given\n');
  });

  it('rolls back from an image to code, and forward again', async () => {
    await built('if-roll:1', script('echo image'));
    const code = await wafer.deploy('if-roll', { 'index.mjs': 'export const handler = () => "code";' });
    await deploy('if-roll', '--image', 'if-roll:1');
    expect((await wafer.invoke('if-roll')).body).toBe('image\n');
    expect((await wafer.wafer(['rollback', 'if-roll', '--to', String(code.number)])).status).toBe(0);
    expect((await wafer.invoke('if-roll')).body).toBe('code');
  });

  it('pulls what the store has not, with its progress; a function pushed from one Wafer is the same elsewhere', async () => {
    const code = `export const handler = (event) => ({ salt: '${SALT}', event, greeting: process.env.GREETING });`;
    const first = await wafer.deploy('if-origin', { 'index.mjs': code }, { env: { GREETING: 'hi' }, timeoutMs: 4321 });
    deployed.add('if-origin');
    const reference = `${registry.host}/team/origin:1`;
    const pushed = await wafer.wafer(['image', 'push', first.image, reference]);
    expect(pushed.status, pushed.stderr).toBe(0);
    await wafer.wafer(['rm', 'if-origin', '--yes']);
    const { version, log } = await deploy('if-copy', '--image', reference);
    expect(log).toMatch(/pull image/);
    expect(log).toMatch(/[0-9a-f]{12} done/);
    expect(version).toMatchObject({ image: first.image, base: 'node24' });
    expect(version.config).toMatchObject({ runtime: 'node', handler: 'index.handler', timeoutMs: 4321 });
    expect(version.addedBytes).toBeGreaterThan(0);
    expect((await wafer.invoke('if-copy', 5)).body).toEqual({ salt: SALT, event: 5, greeting: 'hi' });
  });

  it('says what is wrong with an image, and leaves nothing of it', async () => {
    const bare = await folders.make({ Dockerfile: `FROM scratch\nLABEL salt=${SALT}\nCOPY file /file\n`, file: SALT });
    await wafer.wafer(['build', bare, '-t', 'if-bare']);
    const reference = `${registry.host}/team/bare:1`;
    const pushed = await wafer.wafer(['image', 'push', 'if-bare', reference]);
    expect(pushed.status, pushed.stderr).toBe(0);
    await wafer.wafer(['image', 'rm', 'if-bare']);
    await wafer.wafer(['image', 'prune', '--all']);
    const before = await usage();
    expect(await refused('--image', reference)).toMatch(/neither ENTRYPOINT nor CMD.*\n.*"command"/s);
    expect(await usage()).toEqual(before);
    expect(await refused('--image', 'if-nothing')).toMatch(
      /There is no image "if-nothing" in the store[\s\S]*registry/,
    );
    expect(await refused('--image', `${registry.host}/team/missing:1`)).toMatch(/missing/);
    expect(await refused('--image', 'node24', '--config', 'x.json')).toMatch(/x\.json/);
  });
});
