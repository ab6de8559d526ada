/**
 * The hostile cases F26, F36 and F40 through the whole platform: sockets of other families, unix sockets of the host,
 * descriptors that were not closed and links that lead out.
 */
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, connect as netConnect, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TEST_DATA } from '../helpers/test-data.ts';
import { type Cases, openCases } from './cases.ts';

const PYTHON = `import errno, os, socket

kept = []

def name_of(error):
    return errno.errorcode.get(error.errno, str(error))

def opens(families):
    def answer(shape):
        try:
            socket.socket(*shape).close()
            return "ok"
        except OSError as error:
            return name_of(error)
    return {name: answer(shape) for name, shape in families.items()}

def connects(names):
    def answer(name, kind):
        with socket.socket(socket.AF_UNIX, kind) as one:
            one.settimeout(20)
            try:
                one.connect(name)
                one.send(b"x")
                return "connected"
            except OSError as error:
                return name_of(error)
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)
    return {name: [answer(name, kind) for kind in kinds] for name in names}

def listens(name):
    one = socket.socket(socket.AF_UNIX)
    one.bind("\\0" + name)
    one.listen()
    kept.append(one)
    with socket.socket(socket.AF_UNIX) as own:
        own.connect("\\0" + name)
    return open("/proc/net/unix").read()

def forgets():
    while kept:
        kept.pop().close()

def link_of(pid, name):
    path = f"/proc/{pid}/{name}"
    try:
        to = os.readlink(path)
        own = os.stat(path)
    except OSError as error:
        return {"at": path, "to": name_of(error)}
    inside = None
    if to.startswith("/"):
        try:
            same = os.stat(to)
            inside = (same.st_dev, same.st_ino) == (own.st_dev, own.st_ino)
        except OSError as error:
            inside = name_of(error)
    top = None
    if os.path.isdir(path):
        above, root = os.stat(path + "/.." * 40), os.stat("/")
        top = (above.st_dev, above.st_ino) == (root.st_dev, root.st_ino)
    return {"at": path, "to": to, "inside": inside, "top": top}

def links():
    found = []
    for pid in [name for name in os.listdir("/proc") if name.isdigit()] + ["self", "thread-self", "1"]:
        try:
            descriptors = ["fd/" + fd for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError as error:
            found.append({"at": f"/proc/{pid}/fd", "to": name_of(error)})
            descriptors = ["fd/0", "fd/3"]
        found += [link_of(pid, name) for name in descriptors + ["cwd", "root", "exe"]]
    return found

def scan():
    found = {}
    for fd in range(65536):
        try:
            os.fstat(fd)
        except OSError:
            continue
        try:
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except OSError as error:
            found[fd] = name_of(error)
    return found

ACTS = {"ok": lambda: "ok", "opens": opens, "connects": connects, "listens": listens, "forgets": forgets, "links": links, "scan": scan}

def handler(event, context):
    name = event.pop("act")
    return ACTS[name](**event)
`;

const NODE = `
import fs from 'node:fs';
import { spawnSync } from 'node:child_process';
const scan = () => {
  const found = {};
  for (let fd = 0; fd < 65536; fd++) {
    try { fs.fstatSync(fd); } catch { continue; }
    try { found[fd] = fs.readlinkSync('/proc/self/fd/' + fd); } catch (error) { found[fd] = error.code; }
  }
  return found;
};
const LIST = 'for fd in /proc/self/fd/*; do echo "$fd $(readlink $fd)"; done';
const acts = {
  ok: () => 'ok',
  scan,
  child: () => spawnSync('/bin/sh', ['-c', LIST], { encoding: 'utf8' }).stdout.trim().split('\\n'),
};
export const handler = (event) => acts[event.act](event);`;

const [AF_INET, AF_NETLINK, AF_PACKET, AF_INET6] = [2, 16, 17, 10];
const [STREAM, DGRAM, RAW, SEQPACKET] = [1, 2, 3, 5];
/** What kernels of the last years were broken into through; each is refused before its module could be loaded. */
const FAMILIES: Record<string, [family: number, type: number, protocol: number]> = {
  'AF_PACKET raw': [AF_PACKET, RAW, 0x0300],
  'AF_PACKET dgram': [AF_PACKET, DGRAM, 0x0300],
  AF_ALG: [38, SEQPACKET, 0],
  'AF_VSOCK stream': [40, STREAM, 0],
  'AF_VSOCK dgram': [40, DGRAM, 0],
  AF_RXRPC: [33, DGRAM, AF_INET],
  NETLINK_XFRM: [AF_NETLINK, RAW, 6],
  NETLINK_NETFILTER: [AF_NETLINK, RAW, 12],
  NETLINK_SOCK_DIAG: [AF_NETLINK, RAW, 4],
  NETLINK_GENERIC: [AF_NETLINK, RAW, 16],
  AF_TIPC: [30, SEQPACKET, 0],
  'SCTP stream': [AF_INET, STREAM, 132],
  'SCTP seqpacket': [AF_INET6, SEQPACKET, 132],
  MPTCP: [AF_INET, STREAM, 262],
  'MPTCP v6': [AF_INET6, STREAM, 262],
  'raw ICMP': [AF_INET, RAW, 1],
  'raw TCP': [AF_INET, RAW, 6],
  'raw IP': [AF_INET6, RAW, 255],
  ping: [AF_INET, DGRAM, 1],
  AF_BLUETOOTH: [31, RAW, 1],
  AF_RDS: [21, SEQPACKET, 0],
  AF_XDP: [44, RAW, 0],
  AF_SMC: [43, STREAM, 0],
  AF_CAN: [29, RAW, 1],
  AF_KEY: [15, RAW, 2],
};
const WELL_KNOWN = [
  '/run/docker.sock',
  '/var/run/docker.sock',
  '/run/containerd/containerd.sock',
  '/run/podman/podman.sock',
  '/run/dbus/system_bus_socket',
  '/run/systemd/private',
  '/run/systemd/notify',
  '/run/systemd/journal/socket',
  '/run/user/1000/bus',
  '/dev/log',
  '/tmp/.X11-unix/X0',
  '@/tmp/.X11-unix/X0',
  '@/tmp/dbus-session',
];

let cases: Cases;
let place: string;
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'wafer-reach-'));
  cases = await openCases({
    reach: { files: { 'main.py': PYTHON }, config: { timeoutMs: 120_000 } },
    'reach-out': { files: { 'main.py': PYTHON }, config: { timeoutMs: 120_000, egress: 'public' } },
    'reach-node': { files: { 'index.mjs': NODE }, config: { timeoutMs: 120_000 } },
  });
});
afterAll(async () => {
  await cases?.close();
  await rm(place, { recursive: true, force: true });
});
afterEach(() => cases.checkRest());

describe('F26: a socket', () => {
  it.each(['reach', 'reach-out'])('of a family or protocol that no function needs is refused to %s', async (by) => {
    const { body } = await cases.act(by, 'opens', { families: FAMILIES });
    expect(body).toEqual(Object.fromEntries(Object.keys(FAMILIES).map((name) => [name, 'EPERM'])));
  });
  it('of those that functions need opens', async () => {
    const needed = {
      tcp: [AF_INET, STREAM, 6],
      tcp6: [AF_INET6, STREAM, 0],
      udp: [AF_INET, DGRAM, 17],
      unix: [1, STREAM, 0],
    };
    const { body } = await cases.act('reach', 'opens', { families: { ...needed, route: [AF_NETLINK, RAW, 0] } });
    expect(body).toEqual({ tcp: 'ok', tcp6: 'ok', udp: 'ok', unix: 'ok', route: 'ok' });
  });
});

describe('F36: a unix socket', () => {
  const abstract = `wafer-hostile-${process.pid}`;
  const servers: Server[] = [];
  let path = '';
  let hits = 0;
  /** The kernel shows each zero of an abstract name as @, and Node 20 fills names up with zeros. */
  const spellings = (name: string) =>
    name.startsWith('@') ? [name.replace('@', '\0'), name.replaceAll('@', '\0')] : name === '' ? [] : [name];
  const ofPlatform = async () => {
    const run = join(TEST_DATA, 'run');
    const names = await readdir(run, { recursive: true });
    return ['', ...names].map((name) => join(run, name));
  };
  const connectsFromHere = (to: string) =>
    new Promise<string>((resolve) => {
      const socket = netConnect({ path: to }, () => resolve('connected') ?? socket.destroy());
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    });
  beforeAll(async () => {
    path = join(place, 'host.sock');
    for (const address of [path, `\0${abstract}`]) {
      const server = createServer((socket) => {
        hits++;
        socket.destroy();
      });
      await new Promise<void>((ready) => server.listen(address, ready));
      servers.push(server);
    }
    await chmod(path, 0o777);
  });
  afterAll(() => {
    for (const server of servers) server.close();
  });

  it.each(['reach', 'reach-out'])('of the host is not reached by %s, by no path and no abstract name', async (by) => {
    expect(await Promise.all([path, `\0${abstract}`].map(connectsFromHere))).toEqual(['connected', 'connected']);
    const before = hits;
    const open = (await readFile('/proc/net/unix', 'utf8')).split('\n').map((line) => line.split(/\s+/)[7] ?? '');
    const names = [
      ...new Set([path, `@${abstract}`, ...open, ...(await ofPlatform()), ...WELL_KNOWN].flatMap(spellings)),
    ];
    const { body } = await cases.act(by, 'connects', { names });
    const answers = body as Record<string, string[]>;
    expect(Object.keys(answers)).toHaveLength(names.length);
    for (const [name, codes] of Object.entries(answers))
      for (const code of codes) expect(code, name).toMatch(/^(ENOENT|ECONNREFUSED|EACCES|EPERM|ENOTDIR)$/);
    expect(hits).toBe(before);
  });

  it('of a function is not reached by the host or another function, and it sees none but its own', async () => {
    const name = `wafer-hostile-inside-${process.pid}`;
    const { body } = await cases.act('reach', 'listens', { name });
    const others = String(body)
      .split('\n')
      .filter((line) => /[@/]/.test(line) && !line.includes(name));
    expect(others).toEqual([]);
    expect(body).toContain(name);
    expect(await readFile('/proc/net/unix', 'utf8')).not.toContain(name);
    const { body: other } = await cases.act('reach-out', 'connects', { names: [`\0${name}`] });
    expect(other).toEqual({ [`\0${name}`]: Array(3).fill(expect.stringMatching(/^(ECONNREFUSED|EPERM)$/)) });
    await cases.act('reach', 'forgets');
  });
});

describe('F40: a descriptor', () => {
  /** Both ends of a pipe that the runtime made for itself are there; of one that was inherited, one is. */
  const expectOwn = (found: Record<string, string>) => {
    const { 0: stdin, 1: stdout, 2: stderr, 3: control, ...others } = found;
    expect(stdin).toBe('/dev/null');
    expect([stdout, stderr]).toEqual([expect.stringMatching(/^pipe:/), expect.stringMatching(/^pipe:/)]);
    expect(control).toMatch(/^socket:/);
    const left = Object.entries(others).filter(
      ([, to]) => !/^(\/dev\/null|anon_inode:\[(event(poll|fd)|timerfd)\])$/.test(to),
    );
    const lone = left.filter(([, to]) => !to.startsWith('pipe:') || left.filter((one) => one[1] === to).length !== 2);
    expect(lone).toEqual([]);
  };
  it.each(['reach', 'reach-out', 'reach-node'])(
    'from 0 to 65535 is 0, 1, 2, the control socket, or made by the runtime: %s',
    async (by) => {
      expectOwn((await cases.act(by, 'scan')).body as Record<string, string>);
    },
  );
  it('of a program that a function starts is what the function gives it', async () => {
    const { body } = await cases.act('reach-node', 'child');
    // What the shell lists them with is there, too, and has gone when its link is read.
    const open = (body as string[]).filter((line) => line.includes(' ')).map((line) => line.split(' '));
    expect(open.map(([path]) => path)).toEqual([0, 1, 2].map((fd) => `/proc/self/fd/${fd}`));
    for (const [, to] of open) expect(to).toMatch(/^(\/dev\/null|pipe:\S+|socket:\S+)$/);
  });
  it('leads nowhere out of the root, nor does another link of /proc, of any process that it sees', async () => {
    const { body } = await cases.act('reach', 'links');
    const links = body as { at: string; to: string; inside?: unknown; top?: boolean | null }[];
    const at = (path: string) => links.find((one) => one.at === path);
    for (const name of ['cwd', 'root', 'exe']) expect(at(`/proc/self/${name}`)).toMatchObject({ inside: true });
    expect([at('/proc/self/cwd')?.top, at('/proc/self/root')?.top]).toEqual([true, true]);
    for (const one of links) {
      if (one.to.startsWith('/')) expect(one, one.at).toMatchObject({ inside: true });
      if (typeof one.top === 'boolean') expect(one, one.at).toMatchObject({ top: true });
    }
    const ofInit = links.filter((one) => one.at.startsWith('/proc/1/'));
    expect(ofInit.length).toBeGreaterThan(4);
    for (const one of ofInit) expect(one.to, one.at).toMatch(/^(EACCES|EPERM|ENOENT)$/);
  });
});
