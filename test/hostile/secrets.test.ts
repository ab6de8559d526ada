/** F34, F45, F46: what hostile code can do to secrets, its own and those of others. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Holdings, readHoldings, untilHeld } from '../helpers/leaks.ts';
import { type Reply, startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

const CODE = `
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
const FILE = '/run/secrets/hostile-file';
const hash = (value) => createHash('sha256').update(value ?? '').digest('hex').slice(0, 16);
const code = (run) => { try { run(); return 'allowed'; } catch (error) { return error.code; } };
const program = (...argv) => spawnSync(argv[0], argv.slice(1)).status === 0 ? 'allowed' : 'failed';
const KEPT = ['/tmp/kept', '/dev/shm/kept'];
let kept;
const acts = {
  look: () => ({ file: hash(fs.readFileSync(FILE, 'utf8')), env: hash(process.env.CANARY), names: fs.readdirSync('/run/secrets') }),
  change: () => ({
    write: code(() => fs.writeFileSync(FILE, 'x')),
    append: code(() => fs.openSync(FILE, 'a')),
    chmod: code(() => fs.chmodSync(FILE, 0o666)),
    chown: code(() => fs.chownSync(FILE, 0, 0)),
    times: code(() => fs.utimesSync(FILE, 1, 1)),
    unlink: code(() => fs.unlinkSync(FILE)),
    rename: code(() => fs.renameSync(FILE, '/run/secrets/other')),
    link: code(() => fs.linkSync(FILE, '/tmp/link')),
    add: code(() => fs.writeFileSync('/run/secrets/more', 'x')),
    place: code(() => fs.rmdirSync('/run/secrets')),
    over: code(() => fs.renameSync('/run/secrets', '/tmp/secrets')),
    umount: program('umount', '/run/secrets'),
    lazily: program('umount', '-l', '/run/secrets'),
    remount: program('mount', '-o', 'remount,rw', '/run/secrets'),
    cover: program('mount', '-t', 'tmpfs', 'none', '/run/secrets'),
  }),
  // Wherever a neighbour's could be seen from.
  others() {
    const found = [];
    const look = (path) => { try { for (const name of fs.readdirSync(path)) found.push(path + '/' + name); } catch {} };
    const read = (path) => { try { if (fs.readFileSync(path, 'latin1').includes('hostile-canary')) found.push(path); } catch {} };
    for (const name of ['hostile-file', 'hostile-env', 'of-others']) read('/run/secrets/' + name);
    for (const name of fs.readdirSync('/proc').filter((one) => /^[0-9]+$/.test(one))) {
      look('/proc/' + name + '/root/run/secrets');
      look('/proc/' + name + '/cwd/run/secrets');
      read('/proc/' + name + '/environ');
    }
    for (let id = 1; id < 5000; id++) look('/proc/' + id + '/root/run/secrets');
    for (const path of ['/run/secrets', '/function/../run/secrets', '/.wafer/../run/secrets']) look(path);
    return found;
  },
  keep() {
    kept = fs.readFileSync(FILE, 'utf8') + process.env.CANARY;
    for (const path of KEPT) fs.writeFileSync(path, kept);
    spawn('sh', ['-c', 'sleep 600'], { detached: true, stdio: 'ignore', env: { KEPT: kept } }).unref();
    return process.pid;
  },
  kept() {
    const environments = fs.readdirSync('/proc').filter((one) => /^[0-9]+$/.test(one))
      .map((pid) => { try { return fs.readFileSync('/proc/' + pid + '/environ', 'latin1'); } catch { return ''; } });
    return { memory: kept !== undefined, files: KEPT.filter((path) => fs.existsSync(path)), processes: environments.some((one) => one.includes('KEPT=')) };
  },
  say() {
    const value = process.env.CANARY;
    console.log('whole', value);
    console.error(JSON.stringify({ level: 'error', msg: value, password: value }));
    process.stdout.write('in parts ' + value.slice(0, 9));
    process.stdout.write(value.slice(9) + '\\n');
    console.log('in a URL https://me:' + encodeURIComponent(value) + '@host/', Buffer.from(value).toString('base64'), Buffer.from(value).toString('hex'));
    console.log('x'.repeat(64 * 1024 - 12) + value); // the line is cut in the middle of it
    return value;
  },
  fail() {
    const value = process.env.CANARY;
    const error = class extends Error { name = value; };
    throw new error('with ' + value, { cause: value });
  },
  reject: () => Promise.reject(process.env.CANARY),
  exit() { process.stderr.write('bye ' + process.env.CANARY); process.exit(3); },
};
export const handler = ({ act }) => acts[act]();`;
const NOSY = CODE.replaceAll('hostile-file', 'of-others');
const AT_LOAD = `throw new Error('can not start with ' + process.env.CANARY);\nexport const handler = () => 1;`;

/** What is told of its last output begins in the middle of the value. */
const PROGRAM = `console.error('y'.repeat(200) + process.env.CANARY + 'z'.repeat(2048 - 20));\nprocess.exit(2);`;

const canary = () => `hostile-canary-${randomBytes(12).toString('hex')}`;
const hashOf = (value: string) => createHash('sha256').update(value).digest('hex').slice(0, 16);
const NAMES = ['secretive', 'nosy', 'failing', 'program'];
const SECRETS = ['hostile-file', 'hostile-env'];

let wafer: TestPlatform;
let before: Holdings;
const now = { file: '', env: '' };
const everSet: string[] = [];
const act = (name: string, from = 'secretive'): Promise<Reply> => wafer.invoke(from, { act: name });
async function setAll(how: 'set' | 'rotate'): Promise<void> {
  for (const which of ['file', 'env'] as const) {
    now[which] = canary();
    everSet.push(now[which]);
    const { status, stderr } = await wafer.wafer(['secret', how, `hostile-${which}`], { input: now[which] });
    expect(status, stderr).toBe(0);
  }
}
const nextIsFine = async () =>
  expect((await act('look')).body).toEqual({ file: hashOf(now.file), env: hashOf(now.env), names: ['hostile-file'] });
/** Idle, with an instance of each that has any. */
const rest = async () => {
  await nextIsFine();
  expect((await act('kept', 'nosy')).status).toBe(200);
};
const text = async (path: string) => (await wafer.fetch(path)).text();
const expectNone = (said: string) => {
  for (const value of everSet)
    for (const one of [value, Buffer.from(value).toString('base64').slice(2, -4), Buffer.from(value).toString('hex')])
      expect(said).not.toContain(one);
};

beforeAll(async () => {
  wafer = await startTestPlatform({ WAFER_LOG_LEVEL: 'trace', WAFER_BLANKS: '0' });
  await setAll('set');
  const given = { secrets: ['hostile-file'], secretEnv: { CANARY: 'hostile-env' } };
  await wafer.deploy('secretive', { 'index.mjs': CODE }, given);
  await wafer.deploy('failing', { 'index.mjs': AT_LOAD }, given);
  const image = { runtime: 'image', dockerfile: 'Dockerfile', ...given };
  const Dockerfile = 'FROM node24\nCOPY main.mjs /srv/\nCMD ["node", "/srv/main.mjs"]\n';
  await wafer.deploy('program', { 'main.mjs': PROGRAM, Dockerfile }, image);
  await wafer.deploy('nosy', { 'index.mjs': NOSY });
  for (const name of ['program', 'failing']) await wafer.invoke(name); // what is made once is there
  await rest();
  before = await readHoldings(wafer);
});
afterAll(async () => {
  for (const name of NAMES) await wafer?.remove(name);
  for (const name of SECRETS) await wafer?.wafer(['secret', 'rm', name, '--force']);
  await wafer?.stop();
});

describe('the secrets of a function', () => {
  it('F34: can not be changed, replaced, hidden or unmounted by it', async () => {
    const { body } = await act('change');
    expect(body).toMatchObject({
      write: expect.stringMatching(/EROFS|EACCES/),
      append: expect.stringMatching(/EROFS|EACCES/),
      link: expect.stringMatching(/EXDEV|EROFS|EPERM/),
      place: expect.stringMatching(/EROFS|EBUSY|EACCES/),
      over: expect.stringMatching(/EROFS|EBUSY|EXDEV|EACCES/),
    });
    for (const one of ['chmod', 'chown', 'times', 'unlink', 'rename', 'add'])
      expect(body, one).toMatchObject({ [one]: expect.stringMatching(/EROFS|EPERM/) });
    for (const one of ['umount', 'lazily', 'remount', 'cover']) expect(body).toMatchObject({ [one]: 'failed' });
    await nextIsFine();
  });

  it('F34: are seen from no other sandbox, while their own runs', async () => {
    await act('look');
    expect((await act('others', 'nosy')).body).toEqual([]);
    // What is looked for is found where it is.
    const own = (await act('others')).body as string[];
    expect(own).toContain('/run/secrets/hostile-file');
    await nextIsFine();
  });
});

describe('after a rotation', () => {
  it('F45: nothing that the function kept of the old values is left, whatever it kept them in', async () => {
    await act('keep');
    await setAll('rotate');
    expect((await act('kept')).body).toEqual({ memory: false, files: [], processes: false });
    await nextIsFine();
  });
});

describe('a secret that is given away', () => {
  it('F46: by printing is stars in the log, in every usual spelling', async () => {
    const reply = await act('say');
    // What it returns is its own business, and its owner's.
    expect(reply.body).toBe(now.env);
    const id = reply.headers.get('x-wafer-invocation');
    const said = await until('all lines are stored', async () => {
      const log = await text(`/v1/functions/secretive/logs?invocation=${id}&limit=1000`);
      return log.trim().split('\n').length >= 5 && log;
    });
    for (const one of ['whole ***', 'in parts ***', 'https://me:***@host/ *** ***', 'xxx***…'])
      expect(said).toContain(one);
    expectNone(said);
    await nextIsFine();
  });

  it.each(['fail', 'reject', 'exit'])(
    'F46: by an error is stars in the answer, the record and the log: %s',
    async (how) => {
      const reply = await act(how);
      expect(reply.status).toBe(502);
      expectNone(JSON.stringify(reply.body));
      const id = reply.headers.get('x-wafer-invocation');
      expectNone(
        await until('the record is there', async () => {
          const record = await wafer.fetch(`/v1/invocations/${id}`);
          return record.status === 200 && record.text();
        }),
      );
      expectNone(await text('/v1/functions/secretive/logs?limit=1000'));
      await nextIsFine();
    },
  );

  it('F46: by the end of what a program wrote is stars, also when it begins in the middle of the value', async () => {
    const reply = await wafer.invoke('program');
    expect(reply.body).toMatchObject({ code: 'function_error' });
    const said = JSON.stringify(reply.body);
    expect(said).toContain('zzz');
    for (const value of everSet) expect(said).not.toContain(value.slice(-18));
    await nextIsFine();
  });

  it('F46: by code that fails as it is loaded is stars, too', async () => {
    const reply = await wafer.invoke('failing');
    expect(reply.body).toMatchObject({ code: 'function_init_failed' });
    expect(JSON.stringify(reply.body)).toContain('can not start with ***');
    expectNone(JSON.stringify(reply.body) + (await text('/v1/functions/failing/logs?limit=1000')));
    await nextIsFine();
  });
});

it('the platform said none of them, and holds what it held before', async () => {
  expectNone(wafer.output());
  await rest();
  expect(await untilHeld(wafer, before)).toEqual(before);
});
