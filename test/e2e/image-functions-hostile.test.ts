/** Programs of images that do not behave: the call ends with the outcome that it should, and the platform goes on. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Folders, openFolders } from '../helpers/folders.ts';
import { makeImage, writeLayout } from '../helpers/oci-layout.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { processTree } from '../helpers/processes.ts';
import { until } from '../helpers/until.ts';

let wafer: TestPlatform;
let folders: Folders;
beforeAll(async () => {
  folders = await openFolders('wafer-image-hostile-');
  wafer = await startTestPlatform({ WAFER_KEEP_ALIVE: 'fixed', WAFER_IDLE_MS: '1000' });
});
afterAll(async () => {
  for (const name of deployed) await wafer?.remove(name);
  await wafer?.stop();
  await folders?.remove();
});

const deployed = new Set<string>();
let next = 1;

async function deploy(files: Record<string, string | Buffer>, settings: object = {}): Promise<string> {
  const name = `ih-${next++}`;
  deployed.add(name);
  const folder = await folders.make({ 'wafer.json': JSON.stringify(settings), ...files });
  const result = await wafer.wafer(['deploy', folder, '--name', name]);
  expect(result.status, result.stderr).toBe(0);
  return name;
}

const program = (text: string, more = '') => ({
  'run.sh': `#!/bin/sh\n${text}\n`,
  Dockerfile: `FROM debian12\nCOPY run.sh /run.sh\n${more}ENTRYPOINT ["/run.sh"]\n`,
});
const run = async (text: string, event: unknown = {}, settings: object = {}) =>
  wafer.invoke(await deploy(program(text), settings), event);

/** Nothing of the call is left: its sandbox and every process in it. */
async function noInstances(): Promise<void> {
  await until('every sandbox is gone', async () => {
    const { instances } = (await (await wafer.fetch('/v1/instances')).json()) as { instances: unknown[] };
    return instances.length === 0;
  });
}

describe('a program of an image that', () => {
  it('exits with a status fails the call with it and the end of its stderr; all of it is in the log', async () => {
    const name = await deploy(program('echo first >&2; echo ignored; echo "the last words" >&2; exit 3'));
    const reply = await wafer.invoke(name, {});
    expect(reply.status).toBe(502);
    expect(reply.body).toMatchObject({
      code: 'function_error',
      detail: 'The program exited with status 3: the last words',
      details: { stack: 'first\nthe last words' },
    });
    expect((await wafer.wafer(['logs', name])).stdout).toContain('first');
  });

  it('is ended by a signal has crashed', async () => {
    expect((await run('kill -SEGV $$')).body).toMatchObject({
      code: 'function_crashed',
      detail: expect.stringContaining('SIGSEGV'),
    });
  });

  it('writes 1 GiB to stdout is cut at the limit', async () => {
    expect((await run('head -c 1073741824 /dev/zero')).body).toMatchObject({ code: 'result_too_large' });
    await noInstances();
  });

  it('writes as much as the limit is answered with all of it', async () => {
    const reply = await run('head -c 6291456 /dev/zero');
    expect(reply.status).toBe(200);
    expect(reply.headers.get('content-length')).toBe('6291456');
  });

  it('never reads a large event is answered, and one that ends at once too', async () => {
    const large = 'x'.repeat(4_000_000);
    const name = await deploy(program('sleep 0.2; echo "done"'));
    const early = await deploy(program('exit 0'));
    expect((await wafer.invoke(name, large)).body).toBe('done\n');
    const reply = await wafer.invoke(early, large);
    expect(reply).toMatchObject({ status: 200, body: null });
  });

  it('reads a large event gets every byte of it', async () => {
    const large = 'y'.repeat(4_000_000);
    expect((await run('wc -c', large)).body).toBe(large.length + 2);
  });

  it('leaves children that hold its stdout is answered at once, and they end', async () => {
    const reply = await run('sleep 98765 & sleep 98765 & echo "answer"');
    expect(reply.body).toBe('answer\n');
    await noInstances();
    const left = (await processTree(wafer.pid)).filter(({ command }) => command === 'sleep');
    expect(left).toEqual([]);
  });

  it('leaves a child that writes without end is answered, or cut', async () => {
    const name = await deploy(program('(while :; do echo noise >&2; done) & echo "answer"'), { timeoutMs: 5000 });
    const reply = await wafer.invoke(name, {});
    expect([200, 502, 504]).toContain(reply.status);
    await noInstances();
  });

  it('runs too long is a time-out, whatever it does with SIGTERM', async () => {
    const reply = await run("trap '' TERM; while :; do sleep 1; done", {}, { timeoutMs: 700 });
    expect(reply.status).toBe(504);
    expect(reply.body).toMatchObject({
      code: 'function_timeout',
      detail: expect.stringContaining('a server needs EXPOSE'),
    });
    await noInstances();
  });

  it('takes more memory than it may is out of memory', async () => {
    const reply = await run('head -c 200000000 /dev/zero | tail -c 150000000 | wc -c', {}, { memoryMb: 48 });
    expect(reply.body).toMatchObject({ code: 'function_oom' });
  });

  it('answers with bytes is passed on as bytes', async () => {
    const response = await wafer.fetch(`/v1/functions/${await deploy(program("printf '\\377\\000\\376'"))}/invoke`, {
      method: 'POST',
    });
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect([...new Uint8Array(await response.arrayBuffer())]).toEqual([255, 0, 254]);
  });

  it('answers a whole HTTP request: the body on stdin, method and path in the environment', async () => {
    const name = await deploy(program('echo "$WAFER_HTTP_METHOD $WAFER_HTTP_PATH?$WAFER_HTTP_QUERY $(cat)"'));
    const response = await wafer.fetch(`/fn/${name}/a%2Fb?x=1`, { method: 'PUT', body: 'hello' });
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
    expect(await response.text()).toBe('PUT /a%2Fb?x=1 hello\n');
    expect((await wafer.fetch(`/fn/${name}`, { method: 'HEAD' })).status).toBe(200);
  });

  it('does not exist in the image is a function that can not be loaded', async () => {
    const missing = await deploy({ Dockerfile: 'FROM debian12\nCMD ["/no/such/program"]\n' });
    expect((await wafer.invoke(missing)).body).toMatchObject({
      code: 'function_init_failed',
      detail: expect.stringContaining('/no/such/program'),
    });
    const nowhere = await deploy({
      'run.sh': '#!/bin/sh\n',
      Dockerfile: 'FROM scratch\nCOPY run.sh /run.sh\nCMD ["/run.sh"]\n',
    });
    expect((await wafer.invoke(nowhere)).body).toMatchObject({ code: 'function_init_failed' });
  });
});

describe('an image that', () => {
  it('has 1,000 variables gives them all to its program', async () => {
    const pairs = Array.from({ length: 1000 }, (_, at) => `V${at}=value-${at}`).join(' ');
    const name = await deploy(program('env | grep -c "^V[0-9]*=value-"', `ENV ${pairs}\n`));
    expect((await wafer.invoke(name)).body).toBe(1000);
  });

  it('has more environment than a program can be given is refused', async () => {
    const lines = Array.from({ length: 90 }, (_, at) => `ENV V${at}=${'x'.repeat(6000)}`).join('\n');
    const folder = await folders.make(program('true', `${lines}\n`));
    const result = await wafer.wafer(['deploy', folder, '--name', 'ih-large']);
    expect(result.stderr).toMatch(/its environment is too large/);
  });

  it('has links where the platform mounts, and no /etc/passwd, still runs in its own /tmp', async () => {
    const name = await deploy(
      program(
        'touch /tmp/mine; ls /tmp; ls -ld /tmp | cut -c1; id -u; readlink /proc/self/exe >/dev/null && echo proc',
        'RUN rm -f /etc/passwd /etc/group && rm -rf /srv && ln -s /tmp /srv && ln -sfn /etc /opt\n',
      ),
    );
    expect((await wafer.invoke(name)).body).toBe('mine\nd\n1000\nproc\n');
  });

  it('is one static program from scratch runs it, with what the call says in its environment', async () => {
    const source = join(
      await folders.make({
        'main.c':
          '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { char b[256]; size_t n = fread(b, 1, sizeof b, stdin);\n' +
          'printf("{\\"fn\\": \\"%s\\", \\"event\\": %.*s}", getenv("WAFER_FUNCTION"), (int)n, b); return 0; }\n',
      }),
      'main.c',
    );
    const binary = join(folders.dir, 'static-program');
    await promisify(execFile)('gcc', ['-static', '-O1', '-o', binary, source]);
    const { readFile } = await import('node:fs/promises');
    const name = await deploy({
      program: await readFile(binary),
      Dockerfile: 'FROM scratch\nCOPY --chmod=755 program /program\nENTRYPOINT ["/program"]\n',
    });
    expect((await wafer.invoke(name, [1, 2])).body).toEqual({ fn: name, event: [1, 2] });
  });

  it('has labels that make no sense is refused with the label and the reason; nonsense elsewhere is not', async () => {
    const cases: [Record<string, unknown>, RegExp][] = [
      [{ 'dev.wafer.runtime': 'cobol' }, /its label dev\.wafer\.runtime is "cobol"/],
      [{ 'dev.wafer.config': '{"timeoutMs": -1}' }, /its label dev\.wafer\.config is not valid \(.*timeoutMs/],
      [{ 'dev.wafer.config': '[' }, /its label dev\.wafer\.config is not valid/],
      [{ 'dev.wafer.base-layers': '9' }, /its label dev\.wafer\.base-layers is "9", and it has 1 layers/],
      [{ 'dev.wafer.base-layers': '-1' }, /dev\.wafer\.base-layers/],
    ];
    for (const [index, [Labels, message]] of cases.entries()) {
      const tag = await load(`bad-${index}`, (config) => ({ ...config, config: { Cmd: ['/x'], Labels } }));
      const result = await wafer.wafer(['deploy', '--image', tag, 'ih-bad']);
      expect(result.stderr).toMatch(message);
      expect(result.status).toBe(2);
    }
    const odd = await load('fits', (config) => ({
      ...config,
      config: { Cmd: ['/x'], Env: null, ExposedPorts: { x: {}, '0/tcp': {} }, WorkingDir: '/no/such' },
    }));
    deployed.add('ih-odd');
    const result = await wafer.wafer(['deploy', '--image', odd, 'ih-odd']);
    expect(result.status, result.stderr).toBe(0);
    expect((await wafer.invoke('ih-odd')).body).toMatchObject({ code: 'function_init_failed' });
  });

  it('says that its code lies above a base, where there is none, can not be loaded', async () => {
    const image = makeImage([{ 'bin/a': 'a' }, { 'other/b': 'b' }], {
      config: (config) => ({
        ...config,
        config: { Labels: { 'dev.wafer.runtime': 'node', 'dev.wafer.base-layers': '1' } },
      }),
    });
    const tag = await loadImage('split', image);
    deployed.add('ih-split');
    const result = await wafer.wafer(['deploy', '--image', tag, 'ih-split']);
    expect(result.status, result.stderr).toBe(0);
    expect((await wafer.invoke('ih-split')).body).toMatchObject({
      code: 'function_init_failed',
      detail: expect.stringContaining('/function'),
    });
  });
});

type Change = (config: Record<string, unknown>) => Record<string, unknown>;
const load = (name: string, config: Change) =>
  loadImage(name, makeImage([{ file: `${name} ${process.pid}` }], { config }));

async function loadImage(name: string, image: ReturnType<typeof makeImage>): Promise<string> {
  const dir = join(folders.dir, `layout-${name}`);
  const tag = `ih-${name}:v1`;
  writeLayout(dir, image, tag);
  const archive = `${dir}.tar`;
  await promisify(execFile)('tar', ['-cf', archive, '-C', dir, '.']);
  const result = await wafer.wafer(['image', 'load', '--input', archive]);
  expect(result.status, result.stderr).toBe(0);
  return tag;
}
