/** What a build step writes has a cap, wherever and however it writes it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBuildSandboxes } from '../../services/worker/builder/build-sandbox.ts';
import { openTestHost, type TestHost } from '../helpers/sandbox-host.ts';

const MIB = 1024 * 1024;
let test: TestHost;
beforeAll(async () => {
  test = await openTestHost();
});
afterAll(() => test?.close());

const step = (script: string, diskBytes: number) =>
  createBuildSandboxes(test.host, test.workDir).run(
    {
      step: 'a step',
      layers: test.base('debian12').layers,
      argv: ['sh', '-c', script],
      env: { PATH: '/usr/bin:/bin' },
      exact: true,
      diskBytes,
    },
    [],
    () => {},
    async (tar) => {
      let bytes = 0;
      for await (const chunk of tar) bytes += (chunk as Buffer).length;
      return bytes;
    },
  );
const OVER = { code: 'build_failed', message: 'The step "a step" wrote more than 8 MiB.' };

describe('I32: a step that writes more than it may', () => {
  it.each([
    ['ends at once', 'head -c 12M /dev/urandom > /big'],
    ['goes on for ever', 'while :; do head -c 4M /dev/urandom >> /var/big; done'],
    ['writes many small files', 'mkdir /many; for i in $(seq 3000); do echo x > /many/$i; done'],
    [
      'writes where only another user may read',
      'mkdir -m 700 /p; chown 33 /p; head -c 12M /dev/urandom > /p/x; chmod 0 /p /p/x',
    ],
    ['divides it', 'head -c 6M /dev/urandom > /x; head -c 6M /dev/urandom > /usr/y'],
  ])('and %s fails with the cap in its words, and leaves nothing', async (_what, script) => {
    await expect(step(script, 8 * MIB)).rejects.toMatchObject(OVER);
    expect((await test.host.list()).work.filter((name) => name.startsWith('build-'))).toEqual([]);
  });

  it('hides nothing by nesting deeper than a layer may be', async () => {
    const nest = 'i=0; cd /; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done; sleep 60';
    await expect(step(nest, 1024 * MIB)).rejects.toMatchObject({ code: 'build_failed' });
  });
});

describe('a step within its cap', () => {
  it('keeps what it wrote; holes and second names cost nothing', async () => {
    const script = 'truncate -s 100M /sparse; head -c 5M /dev/urandom > /a; ln /a /b; ln /a /c';
    expect(await step(script, 8 * MIB)).toBeGreaterThan(5 * MIB);
  });
});

describe('measureWork', () => {
  it('is nothing for what is not there, and refuses what is no name', async () => {
    expect(await test.host.measureWork('not-there')).toBe(0);
    await expect(test.host.measureWork('../layers')).rejects.toThrow(/not a name/);
  });
});
