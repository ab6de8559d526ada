/**
 * The hostile cases F1-F14, F29, F31-F34 and F41 (resources, volumes, ends) through the whole platform: each ends as it should, then an
 * ordinary call of the same function succeeds, and the platform holds what it held before: processes, mounts, groups,
 * descriptors, directories.
 */
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import tar from 'tar-stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Holdings, leastRoomTaken, readHoldings } from '../helpers/leaks.ts';
import { type Reply, startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { processTree } from '../helpers/processes.ts';
import { until } from '../helpers/until.ts';

const NODE = `
import fs from 'node:fs';
import net from 'node:net';
import { spawn, spawnSync } from 'node:child_process';
import { Worker } from 'node:worker_threads';
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const codeOf = (work) => { try { return work() ?? 'ok'; } catch (error) { return error.code ?? error.message; } };
const fill = (make) => { for (let made = 0; ; made++) try { make(made); } catch (error) { return { made, code: error.code }; } };
const BOMB = 'bomb() { bomb | bomb & }; bomb';
const ESCAPES = 'setsid sh -c "eval \\\\"\\$B\\\\"" & setsid sh -c "eval \\\\"\\$B\\\\"" & exit 0';
const acts = {
  ok: () => 'ok',
  bomb: async () => {
    spawn('sh', ['-c', BOMB], { stdio: 'ignore' });
    for (;;) { await wait(5); const { error } = spawnSync('true'); if (error) throw new Error('spawn: ' + error.code); }
  },
  escapes: async () => {
    spawn('sh', ['-c', ESCAPES], { detached: true, stdio: 'ignore', env: { ...process.env, B: ESCAPES } });
    await wait(300); return 'left';
  },
  allocate: () => { const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1)); },
  shm: () => fill((at) => fs.writeFileSync('/dev/shm/' + at, Buffer.alloc(1 << 20, 1))),
  kindOfTmp: () => fs.statfsSync('/tmp').type,
  bytes: () => { const chunk = Buffer.alloc(1 << 20, 1); const fd = fs.openSync('/tmp/full', 'w'); const end = fill(() => fs.writeSync(fd, chunk)); fs.closeSync(fd); fs.unlinkSync('/tmp/full'); return end; },
  files: () => { fs.mkdirSync('/tmp/many'); const end = fill((at) => fs.writeFileSync('/tmp/many/' + at, 'x')); fs.rmSync('/tmp/many', { recursive: true }); return end; },
  sparse: ({ dir }) => {
    const path = dir + '/sparse';
    const fd = fs.openSync(path, 'w+');
    const code = codeOf(() => fs.ftruncateSync(fd, 2 ** 40));
    const read = fs.readSync(fd, Buffer.alloc(1 << 20), 0, 1 << 20, 0);
    const { blocks } = fs.fstatSync(fd);
    fs.closeSync(fd); fs.unlinkSync(path);
    return { code, read, blocks };
  },
  descriptors: () => { const all = []; const end = fill(() => all.push(fs.openSync('/dev/null'))); for (const fd of all) fs.closeSync(fd); return end; },
  sockets: async () => {
    for (let made = 0; ; made++) {
      const code = await new Promise((resolve) => net.createServer().on('error', ({ code }) => resolve(code)).listen(0, '127.0.0.1', () => resolve(null)));
      if (code !== null) throw new Error('listen: ' + code);
    }
  },
  spin: () => { for (;;); },
  spinThread: async () => { new Worker('for (;;);', { eval: true }); await wait(1e6); },
  deaf: () => { for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(name, () => { for (;;); }); for (;;); },
  stuck: () => { spawnSync('sh', ['-c', 'trap "" TERM INT HUP; while :; do :; done']); },
  fuse: () => [codeOf(() => fs.openSync('/dev/fuse', 'r+')), spawnSync('mount', ['-t', 'nfs', '127.0.0.1:/x', '/tmp']).status !== 0],
  miner: () => { spawn('sh', ['-c', 'while :; do :; done'], { detached: true, stdio: 'ignore' }).unref(); return 'left'; },
  count: () => fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).length,
  flood: ({ bytes }) => { const chunk = Buffer.alloc(65536, 'x'); for (let sent = 0; sent < bytes; ) sent += fs.writeSync(1, chunk); return 'done'; },
  result: ({ bytes }) => 'x'.repeat(bytes),
  die: ({ signal, dir }) => { if (dir) process.chdir(dir); process.kill(process.pid, signal); return wait(1e6); },
  links: () => {
    for (const [name, to] of [['passwd', '/etc/passwd'], ['root', '/proc/1/root'], ['up', '../..'], ['dir', '/etc'], ['loop', 'loop']])
      fs.symlinkSync(to, '/data/' + name);
    fs.writeFileSync('/data/own', 'mine');
    return fs.readFileSync('/data/passwd', 'utf8').includes('root');
  },
  clear: () => { for (const name of fs.readdirSync('/data')) fs.rmSync('/data/' + name, { recursive: true }); },
  setid: () => {
    fs.copyFileSync('/usr/bin/id', '/data/id');
    fs.chmodSync('/data/id', 0o6755);
    return spawnSync('/data/id', ['-u'], { encoding: 'utf8' }).stdout;
  },
  swap: async ({ times }) => {
    fs.mkdirSync('/data/a'); fs.writeFileSync('/data/a/passwd', 'inside'); fs.symlinkSync('/etc', '/data/b');
    for (let at = 0; at < times; at++) {
      fs.renameSync('/data/a', '/data/c'); fs.renameSync('/data/b', '/data/a'); fs.renameSync('/data/c', '/data/b');
      if (at % 64 === 0) await wait(0);
    }
    return times;
  },
  look: () => ['/.volumes', '/.volumes/0', '/.volumes/1', '/data', '/var/lib/wafer', '/proc/1/root/.volumes/0'].map((path) => codeOf(() => fs.readdirSync(path).length + ' entries')),
};
export const handler = (event) => acts[event.act](event);`;

const PYTHON = `import ctypes, os

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
O_TMPFILE = 0o20200000

def code(work):
    try:
        return work() or "ok"
    except OSError as error:
        return error.strerror and os.strerror(error.errno)

def called(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "call")

def zombies():
    made = 0
    try:
        while made < 100_000:
            if os.fork() == 0:
                os._exit(0)
            made += 1
    except BlockingIOError:
        return {"made": made, "code": "EAGAIN"}

def links():
    made = os.open("/tmp", O_TMPFILE | os.O_RDWR)
    rename = lambda a, b, flags: called(libc.syscall(316, AT_FDCWD, a, AT_FDCWD, b, flags))
    with open("/data/plain", "w") as file:
        file.write("x")
    answers = {
        "base": code(lambda: os.link("/etc/passwd", "/data/passwd")),
        "code": code(lambda: os.link("/function/main.py", "/data/main.py")),
        "tmpfile": code(lambda: os.link(f"/proc/self/fd/{made}", "/data/linked", follow_symlinks=True)),
        "whiteout": code(lambda: rename(b"/data/plain", b"/data/moved", 4)),
        "whiteout-base": code(lambda: rename(b"/etc/passwd", b"/etc/moved", 4)),
        "device": code(lambda: os.mknod("/data/device", 0o020666, os.makedev(1, 3))),
        "fifo": code(lambda: os.mkfifo("/data/fifo")),
        "stat": oct(os.lstat("/data/plain").st_mode) if os.path.lexists("/data/plain") else None,
        "passwd": "root" in open("/etc/passwd").read(),
    }
    os.close(made)
    for name in os.listdir("/data"):
        os.unlink("/data/" + name)
    return answers

def handler(event, context):
    return {"zombies": zombies, "links": links, "ok": lambda: "ok"}[event["act"]]()
`;

const MIB = 1024 * 1024;
/** statfs(2). */
const TMPFS_MAGIC = 0x01021994;
const FUNCTIONS = ['cases', 'cases-py', 'cases-other', 'cases-late'];
const VOLUMES = ['cases', 'cases-other'];
/** Ends by its time limit. */
const LATE = 'cases-late';

let wafer: TestPlatform;
let before: Holdings;
const at = (volume: string) => ({ volumes: [{ volume, path: '/data', mode: 'rw' }] });
const act = (name: string, more: object = {}, by = 'cases'): Promise<Reply> => wafer.invoke(by, { act: name, ...more });
const codeOf = ({ body }: Reply) => (body as { code?: string }).code;
/** Idle, each with one instance. */
async function rest(): Promise<void> {
  for (const name of FUNCTIONS) expect((await act('ok', {}, name)).body, name).toBe('ok');
}
const cleanUp = async () => {
  for (const name of FUNCTIONS) await wafer.remove(name);
  for (const name of VOLUMES)
    await until(`${name} is removed`, async () => {
      const { status } = await wafer.fetch(`/v1/volumes/${name}`, { method: 'DELETE' });
      return status === 204 || status === 404;
    });
};

beforeAll(async () => {
  wafer = await startTestPlatform({ WAFER_BLANKS: '0' });
  await cleanUp();
  for (const name of VOLUMES) expect((await wafer.wafer(['volume', 'create', name])).status).toBe(0);
  const patient = { memoryMb: 192, timeoutMs: 240_000 };
  await wafer.deploy('cases', { 'index.mjs': NODE }, { ...patient, ...at('cases') });
  await wafer.deploy('cases-other', { 'index.mjs': NODE }, { ...patient, ...at('cases-other') });
  await wafer.deploy('cases-py', { 'main.py': PYTHON }, { ...patient, ...at('cases') });
  await wafer.deploy(LATE, { 'index.mjs': NODE }, { memoryMb: 192, timeoutMs: 3_000 });
  await rest();
  before = await readHoldings(wafer);
});
afterAll(async () => {
  if (wafer === undefined) return;
  await cleanUp();
  await wafer.stop();
});
afterEach(async () => {
  // An instance that a call left something in ends a moment later, and the next one is another.
  await until('the platform holds what it held before', async () => {
    await rest();
    return JSON.stringify(await readHoldings(wafer)) === JSON.stringify(before);
  }).catch(() => {}); // the comparison shows what it is
  expect(await readHoldings(wafer)).toEqual(before);
});

describe('processes', () => {
  it('F1: a fork bomb gets EAGAIN, stays below the limit of its sandbox, and the call ends', async () => {
    const quiet = (await processTree(wafer.pid)).length;
    let most = 0;
    let isOver = false;
    const call = act('bomb', {}, LATE).finally(() => (isOver = true));
    while (!isOver) most = Math.max(most, (await processTree(wafer.pid)).length);
    expect(most - quiet).toBeLessThanOrEqual(256 + 1);
    const reply = await call;
    expect(codeOf(reply)).toMatch(/^function_(error|timeout|oom)$/);
    if (codeOf(reply) === 'function_error') expect(JSON.stringify(reply.body)).toContain('EAGAIN');
  });
  it('F2: a bomb whose processes leave their session and their parents is gone with the call', async () => {
    const reply = await act('escapes', {}, LATE);
    if (reply.status !== 200) expect(codeOf(reply)).toMatch(/^function_(timeout|oom|crashed|killed)$/);
  });
  it('F10: a child that never ends holds the call until its time is over, and nothing that could hang for ever is there', async () => {
    expect(codeOf(await act('stuck', {}, LATE))).toBe('function_timeout');
    expect((await act('fuse')).body).toEqual(['ENOENT', true]);
  });
  it('F11: what a call leaves behind is not there for the next one', async () => {
    expect((await act('miner')).body).toBe('left');
    await until('a call sees its own process only', async () => (await act('count')).body === 1);
  });
  it('F12: zombies count as processes do', async () => {
    const { body } = await act('zombies', {}, 'cases-py');
    expect(body).toMatchObject({ code: 'EAGAIN' });
    expect((body as { made: number }).made).toBeLessThan(256);
  });
});

describe('memory and room (F3, F4, F5, F6, F7)', () => {
  const charged = it.runIf(process.env['WAFER_LIMITS'] !== 'none');
  charged('F3: what allocates until it is killed is out of memory, and only that', async () => {
    expect(codeOf(await act('allocate'))).toBe('function_oom');
  });
  charged('F4: files in shared memory are charged to the function', async () => {
    const reply = await act('shm');
    if (reply.status === 200) expect(reply.body).toMatchObject({ code: 'ENOSPC' });
    else expect(codeOf(reply)).toBe('function_oom');
  });
  it('F5: /tmp is memory, full at its size and at its number of files, and the disk of the host has what it had', async () => {
    expect((await act('kindOfTmp')).body).toBe(TMPFS_MAGIC);
    const taken = await leastRoomTaken(async () => {
      expect((await act('bytes')).body).toMatchObject({ code: 'ENOSPC' });
      expect((await act('files')).body).toMatchObject({ code: 'ENOSPC' });
    });
    expect(taken).toBeLessThan(64 * MIB);
  });
  it.each(['/tmp', '/data'])('F6: a sparse file of 1 TiB in %s takes no room', async (dir) => {
    const taken = await leastRoomTaken(async () => {
      const { body } = await act('sparse', { dir });
      const { code, blocks } = body as { code: string; blocks: number };
      expect(code).toMatch(/^(ok|EFBIG)$/);
      expect(blocks).toBe(0);
    });
    expect(taken).toBeLessThan(64 * MIB);
  });
  it('F7: descriptors end at the limit of the function', async () => {
    const { body } = await act('descriptors');
    expect(body).toMatchObject({ code: 'EMFILE' });
    expect((body as { made: number }).made).toBeLessThan(1024);
    expect(JSON.stringify((await act('sockets')).body)).toContain('listen: EMFILE');
  });
});

describe('time (F8, F9)', () => {
  it.each([
    ['F8: a loop', 'spin'],
    ['F8: a loop in a thread', 'spinThread'],
    ['F9: one that ignores every polite signal', 'deaf'],
  ])('%s ends when its time is over', async (_what, name) => {
    const reply = await act(name, {}, LATE);
    expect([reply.status, codeOf(reply)]).toEqual([504, 'function_timeout']);
  });
});

describe('what comes out (F13, F14, F41)', () => {
  it('F13: a flood of output ends in bounded memory of the platform', async () => {
    const rss = async () =>
      Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${wafer.pid}/status`, 'utf8'))?.[1]) / 1024;
    const had = await rss();
    expect((await act('flood', { bytes: 128e6 })).body).toBe('done');
    expect((await rss()) - had).toBeLessThan(96);
  });
  it('F14: a result of a byte more than 6 MiB is too large, one of 6 MiB is not', async () => {
    // The quotes of the JSON count.
    expect((await act('result', { bytes: 6 * MIB - 2 })).status).toBe(200);
    for (const bytes of [6 * MIB - 1, 12 * MIB])
      expect(codeOf(await act('result', { bytes }))).toBe('result_too_large');
  });
  it.each(['SIGSEGV', 'SIGABRT', 'SIGSYS'])(
    'F41: %s is a crash that is told, and leaves no core file in a volume',
    async (signal) => {
      const reply = await act('die', { signal, dir: '/data' });
      expect(codeOf(reply)).toBe('function_crashed');
      expect(JSON.stringify(reply.body)).toContain(signal);
      expect(await namesIn('cases')).toEqual([]);
    },
  );
});

const filesUrl = (name: string, path = '/') => `/v1/volumes/${name}/files?path=${path}`;
const namesIn = async (name: string) => {
  const { files } = (await (await wafer.fetch(filesUrl(name))).json()) as { files: { name: string }[] };
  return files.map((file) => file.name);
};
const contentOf = async (path: string) => {
  const response = await wafer.fetch(`/v1/volumes/cases/content?path=${path}`);
  return { status: response.status, text: await response.text() };
};
async function entriesOf(path: string): Promise<Record<string, { type: string; linkname: string; content: string }>> {
  const response = await wafer.fetch(`/v1/volumes/cases/tar?path=${path}`);
  const entries: Record<string, { type: string; linkname: string; content: string }> = {};
  if (response.status !== 200) return entries;
  const extract = tar.extract();
  extract.end(Buffer.from(await response.arrayBuffer()));
  for await (const entry of extract)
    entries[entry.header.name] = {
      type: entry.header.type ?? '',
      linkname: entry.header.linkname ?? '',
      content: await text(entry),
    };
  return entries;
}

describe('volumes', () => {
  it('F29: a program with set-id bits in a volume runs as its caller', async () => {
    expect((await act('setid')).body).toBe('1000\n');
    await act('clear');
  });
  it('F31: links in a volume lead nowhere for the host: not when it lists, reads, exports, snapshots or removes', async () => {
    expect((await act('links')).body).toBe(true); // inside they are links of the function's own root
    for (const path of ['/passwd', '/root/etc/passwd', '/up/etc/passwd', '/dir/passwd', '/loop', '/../etc/passwd'])
      expect((await contentOf(path)).status, path).toBeGreaterThanOrEqual(400);
    expect(await contentOf('/up/own')).toEqual({ status: 200, text: 'mine' }); // above the volume is the volume
    expect(await namesIn('cases')).toEqual(['dir', 'loop', 'own', 'passwd', 'root', 'up']);
    const entries = await entriesOf('/');
    expect(Object.values(entries).filter(({ type }) => type === 'symlink')).toHaveLength(5);
    expect(JSON.stringify(entries)).not.toContain('root:x:');
    expect((await wafer.wafer(['volume', 'snapshot', 'cases', 'linked'])).status).toBe(0);
    expect((await wafer.wafer(['volume', 'rm', 'cases@linked'])).status).toBe(0);
    await act('clear');
    expect((await act('ok')).body).toBe('ok');
  });
  it('F32: a directory and a link that change places 10,000 times never lead the host out', async () => {
    let isOver = false;
    const swap = act('swap', { times: 10_000 }).finally(() => (isOver = true));
    let looks = 0;
    while (!isOver) {
      const [{ status, text: read }, entries, listed] = await Promise.all([
        contentOf('/a/passwd'),
        entriesOf('/a/'),
        wafer.fetch(filesUrl('cases', '/a')).then((response) => response.text()),
      ]);
      if (status === 200) expect(read).toBe('inside');
      for (const { content } of Object.values(entries)) expect(content).toMatch(/^(inside)?$/);
      expect(listed).not.toMatch(/hostname|shadow/);
      looks++;
    }
    expect((await swap).body).toBe(10_000);
    expect(looks).toBeGreaterThan(0);
    await act('clear');
  });
  it('F33: no file of a layer, of /tmp, and no device gets into a volume', async () => {
    const { body } = await act('links', {}, 'cases-py');
    expect(body).toMatchObject({ passwd: true });
    const { base, code, tmpfile, whiteout, device } = body as Record<string, string>;
    const layer = (body as Record<string, string>)['whiteout-base'];
    for (const answer of [base, code, tmpfile]) expect(answer).toMatch(/cross-device|not permitted|Permission/);
    for (const answer of [device, whiteout]) expect(answer).toMatch(/not permitted|Permission|Invalid/);
    expect(layer).toMatch(/Read-only|not permitted|Permission/);
  });
  it('F34: a function sees its own volumes, and nothing of where they lie', async () => {
    await act('links');
    expect((await act('look', {}, 'cases-other')).body).toEqual([
      '1 entries',
      '0 entries',
      'ENOENT',
      '0 entries',
      'ENOENT',
      expect.stringMatching(/^E(ACCES|NOENT|PERM)$/),
    ]);
    expect((await act('look', {}, LATE)).body).toEqual([
      'ENOENT',
      'ENOENT',
      'ENOENT',
      'ENOENT',
      'ENOENT',
      expect.stringMatching(/^E/),
    ]);
    await act('clear');
  });
});
