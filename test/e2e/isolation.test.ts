/** What a function can see and do, asked from inside a real one; and what the host sees of it. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlankInfo, InstanceInfo } from '../../services/core/invocations/types.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { type HostProcess, processTree } from '../helpers/processes.ts';
import { until } from '../helpers/until.ts';

const PROBE = `
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import { spawnSync } from 'node:child_process';
const attempt = (work) => { try { return work() ?? 'ok'; } catch (error) { return error.code ?? error.message; } };
const connect = (port, host) => new Promise((resolve) => {
  const socket = net.connect({ port, host, timeout: 2000 }, () => { socket.destroy(); resolve('connected'); });
  socket.on('error', (error) => resolve(error.code));
  socket.on('timeout', () => { socket.destroy(); resolve('timeout'); });
});
export async function handler(event) {
  if (event.hold) { await new Promise((resolve) => setTimeout(resolve, event.hold)); return true; }
  if (event.connect) return connect(event.connect.port, event.connect.host);
  if (event.read) return attempt(() => fs.readFileSync(event.read, 'utf8').slice(0, 200));
  if (event.list) return attempt(() => fs.readdirSync(event.list));
  if (event.write) return attempt(() => fs.writeFileSync(event.write, 'x'));
  if (event.run) { const r = spawnSync(event.run[0], event.run.slice(1), { encoding: 'utf8' }); return { status: r.status, error: r.error?.code, out: r.stdout, err: r.stderr }; }
  const status = Object.fromEntries(fs.readFileSync('/proc/self/status', 'utf8').split('\\n').map((line) => line.split(':\\t')));
  return { uid: process.getuid(), gid: process.getgid(), status, mounts: fs.readFileSync('/proc/self/mounts', 'utf8'),
    fds: fs.readdirSync('/proc/self/fd').length, env: Object.keys(process.env), hostname: os.hostname(),
    pids: fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)), interfaces: Object.keys(os.networkInterfaces()) };
}`;

let wafer: TestPlatform;
let server: Server;
let inside: {
  uid: number;
  gid: number;
  status: Record<string, string>;
  mounts: string;
  env: string[];
  pids: string[];
  interfaces: string[];
};
const ask = async (event: object) => (await wafer.invoke('probe', event)).body;

const blankIsReady = async () =>
  ((await (await wafer.fetch('/v1/instances')).json()) as { blanks: BlankInfo[] }).blanks.some(
    ({ runtime, ready, egress, volumes }) => runtime === 'node' && ready > 0 && !egress && volumes === 0,
  );

/** An instance that was a blank is as shut in as one that was made for its version. */
describe.each([
  ['cold', '0'],
  ['blank', '2'],
])('an instance that starts %s', (start, blanks) => {
  beforeAll(async () => {
    wafer = await startTestPlatform({ WAFER_BLANKS: blanks });
    server = createServer((_request, response) => response.end('host')).listen(0, '0.0.0.0');
    await wafer.deploy('probe', { 'index.mjs': PROBE });
    await wafer.deploy('other', { 'index.mjs': PROBE, 'secret-of-other.txt': 'mine' });
    if (start === 'blank') await until('a blank is ready', blankIsReady);
    const first = await wafer.invoke('probe', {});
    expect(first.headers.get('x-wafer-start')).toBe(start);
    inside = first.body as typeof inside;
  });
  afterAll(async () => {
    server.close();
    await wafer.remove('probe');
    await wafer.remove('other');
    await wafer.stop();
  });

  describe('inside a function', () => {
    it('runs as uid 1000 without any capability', () => {
      expect([inside.uid, inside.gid]).toEqual([1000, 1000]);
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
        expect(inside.status[set], set).toMatch(/^0+$/);
    });
    it('has no_new_privs and a seccomp filter', () => {
      expect(inside.status['NoNewPrivs']).toBe('1');
      expect(inside.status['Seccomp']).toBe('2');
    });
    it('is in no supplementary group', () => {
      expect((inside.status['Groups'] ?? '').trim()).toBe('');
    });
    it('sees only its own processes', () => {
      expect(inside.pids.length).toBeLessThanOrEqual(4);
    });
    it('inherits nothing of the platform environment', () => {
      expect(
        inside.env.filter((name) => /^(npm_|NODE_EXTRA|SSL_|PIP_|HOSTNAME|WAFER_DATA|WAFER_KEY)/.test(name)),
      ).toEqual([]);
    });
    it('sees no path of the host in its mounts', () => {
      const sources = inside.mounts.split('\n').map((line) => line.split(' ')[0]);
      expect(sources.filter((source) => source?.startsWith('/dev/vd') || source?.includes('wafer/store'))).toEqual([]);
    });
    it.each([
      '/etc/passwd-host',
      '/work',
      '/root/.bashrc',
      '/var/lib/wafer',
      '/sys/kernel',
      '/proc/kcore',
      '/proc/1/environ',
      '/proc/1/root/etc',
      '/proc/sysrq-trigger',
    ])('can not read %s', async (path) => {
      // What a kernel has and a function must not see is masked: it reads as empty.
      expect(await ask({ read: path })).toMatch(/^(ENOENT|EACCES|EPERM|EISDIR|EINVAL|)$/);
      expect(await ask({ list: path })).toMatch(/^(ENOENT|EACCES|EPERM|ENOTDIR|EINVAL)$/);
    });
    it('can not read the files of another function', async () => {
      expect(await ask({ read: '/function/secret-of-other.txt' })).toBe('ENOENT');
      expect((await wafer.invoke('other', { read: '/function/secret-of-other.txt' })).body).toBe('mine');
    });
    it.each(['/function/index.mjs', '/usr/bin/env', '/etc/passwd', '/.wafer/node/main.mjs', '/new'])(
      'can not write %s',
      async (path) => {
        expect(await ask({ write: path })).toMatch(/^(EROFS|EACCES|EPERM)$/);
      },
    );
    it('can write /tmp', async () => {
      expect(await ask({ write: '/tmp/mine' })).toBe('ok');
    });
    it('has lo only and reaches no listener of the host', async () => {
      const { port } = server.address() as AddressInfo;
      expect(inside.interfaces.filter((name) => name !== 'lo')).toEqual([]);
      for (const host of ['127.0.0.1', '::1', '192.0.2.2', '10.0.2.2', '169.254.169.254']) {
        expect(await ask({ connect: { port, host } }), host).toMatch(
          /^(ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|EADDRNOTAVAIL|EPERM|EACCES)$/,
        );
      }
    });
    it('can not make a user namespace, mount, or trace', async () => {
      for (const run of [
        ['unshare', '-U', 'true'],
        ['unshare', '-m', 'true'],
        ['mount', '-t', 'tmpfs', 'x', '/tmp'],
        ['chroot', '/tmp', 'true'],
      ]) {
        const result = (await ask({ run })) as { status: number };
        expect(result.status, run.join(' ')).not.toBe(0);
      }
    });
  });

  describe('on the host', () => {
    it('no process of the platform or of a function has uid 0, and two functions have two host uids', async () => {
      const holding = [wafer.invoke('probe', { hold: 3000 }), wafer.invoke('other', { hold: 3000 })];
      const tree = await until('both functions run', async () => {
        const now = await processTree(wafer.pid);
        return now.filter((one) => one.command === 'node' && one.pid !== wafer.pid).length >= 2 && now;
      });
      expect(tree.filter((one) => one.uid === 0)).toEqual([]);
      const own = tree.find((one) => one.pid === wafer.pid)?.uid;
      const functionUids = tree
        .filter((one: HostProcess) => one.command === 'node' && one.pid !== wafer.pid)
        .map((one) => one.uid);
      expect(new Set(functionUids).size).toBe(functionUids.length);
      expect(functionUids).not.toContain(own);
      await Promise.all(holding);
    });

    it('a function of removed code leaves no process', async () => {
      await wafer.deploy('gone', { 'index.mjs': PROBE });
      await wafer.invoke('gone', {});
      const list = (await (await wafer.fetch('/v1/instances')).json()) as { instances: InstanceInfo[] };
      const uid = list.instances.find((one) => one.functionName === 'gone')?.hostUid;
      const processes = async () => (await processTree(wafer.pid)).filter((one) => one.uid === uid);
      expect(await processes()).not.toEqual([]);
      await wafer.remove('gone');
      await until('its processes ended', async () => (await processes()).length === 0);
    });
  });
});
