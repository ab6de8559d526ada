/** A host that can not run Wafer: one clear line with the fix, and an exit code that is not 0. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CLI } from '../helpers/paths.ts';

let data: string;
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'wafer-host-'));
});
afterEach(() => rm(data, { recursive: true, force: true }));

/** `wafer up` in a user namespace of this user's own, where `prepare` may change what the host allows. */
async function up(env: Record<string, string>, prepare?: string) {
  const argv =
    prepare === undefined
      ? [process.execPath, CLI, 'up']
      : [
          'unshare',
          '-Um',
          '--map-user=1000',
          '--map-group=1000',
          '--keep-caps',
          'sh',
          '-ec',
          `${prepare}; exec setpriv --ambient-caps -all --inh-caps -all ${process.execPath} ${CLI} up`,
        ];
  const [program = '', ...args] = argv;
  const child = spawn(program, args, {
    env: { ...process.env, NO_COLOR: '1', WAFER_DATA: data, WAFER_PORT: '0', WAFER_LOG_LEVEL: 'silent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, output };
}

describe('wafer up on a host that', () => {
  it('has no redis-server says how to install it', async () => {
    const { status, output } = await up({}, 'mount --bind /dev/null /usr/bin/redis-server');
    expect(output).toMatch(/redis-server/);
    expect(output).toMatch(/install/);
    expect(status).toBe(4);
  });

  it('allows no user namespaces says so and names doctor', async () => {
    const { status, output } = await up({}, 'echo 0 > /proc/sys/user/max_user_namespaces');
    expect(output).toMatch(/user namespace|userns|unshare/i);
    expect(output).toMatch(/doctor/);
    expect(status).toBe(4);
  });

  it('has a full disk says so and how to get room', async () => {
    const { status, output } = await up(
      {},
      `mount -t tmpfs -o size=64k none ${data}; head -c 1m /dev/zero > ${data}/full || true`,
    );
    expect(output).toMatch(/disk|space/i);
    expect(output).toMatch(/WAFER_DATA|Free/);
    expect(status).toBe(4);
  });

  it('has a data directory that is not ours says which', async () => {
    const { status, output } = await up({ WAFER_DATA: '/etc/wafer-data' });
    expect(output).toContain('/etc/wafer-data');
    expect(status).not.toBe(0);
  });

  it('is given a wrong setting names the variable', async () => {
    const { status, output } = await up({ WAFER_MEMORY_MB: 'lots' });
    expect(output).toContain('WAFER_MEMORY_MB');
    expect(status).toBe(2);
  });
});
