/** A sandbox that got its code by `attach` is no weaker than one that was made with it, and leaves as little. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sandbox } from '../../runtime/sandbox/index.ts';
import { type Lab, openLab, parseAnswers } from './lab.ts';

const ROUNDS = 200;
const LIMITS = { memoryBytes: 64 << 20, pids: 32 };

let lab: Lab;
let probes: string;
beforeAll(async () => {
  lab = await openLab('calls', 'sockets');
  probes = lab.layer;
});
afterAll(() => lab?.close());

/** Without code; it becomes the probe as soon as that is there. */
const startBlank = (probe: string) =>
  lab.start([], {
    codeLayers: [],
    argv: ['sh', '-c', `until [ -e /function/${probe} ]; do sleep 0.02; done; exec /function/${probe}`],
    memoryBytes: 256 << 20,
  });

async function outputOf(sandbox: Sandbox): Promise<string> {
  let out = '';
  sandbox.onOutput((_stream, chunk) => {
    out += chunk.toString();
  });
  await sandbox.exited;
  return out;
}

async function attachedOutput(probe: string): Promise<string> {
  const blank = await startBlank(probe);
  await blank.attach({ codeLayers: [probes], ...LIMITS });
  return outputOf(blank);
}

describe('code that was attached', () => {
  it.each(['calls', 'sockets'])('is refused what code that was always there is refused: %s', async (probe) => {
    const expected = await lab.answers([probe]);
    expect(Object.keys(expected).length).toBeGreaterThan(5);
    expect(parseAnswers(await attachedOutput(probe))).toEqual(expected);
  });

  it('is mounted like code that was always there, and shows nothing of the host', async () => {
    const script = 'grep " /function " /proc/self/mountinfo; grep -E "^(Cap|NoNew|Seccomp)" /proc/self/status; id';
    const until = `until [ -e /function/calls ]; do sleep 0.02; done; ${script}`;
    const blank = await lab.start([], { codeLayers: [], argv: ['sh', '-c', until] });
    await blank.attach({ codeLayers: [probes], ...LIMITS });
    const { out } = await lab.run([], { argv: ['sh', '-c', script] });
    // Its numbers, and which descriptors the engine read the layers through, differ.
    const shape = (text: string) => text.replace(/\b\d+ \d+ \d+:\d+ /, '').replace(/fd\/\d+/g, 'fd/N');
    expect(shape(await outputOf(blank))).toBe(shape(out));
  });

  it('can not be written, replaced or unmounted', async () => {
    const blank = await lab.start([], { codeLayers: [], argv: ['sleep', '1000'] });
    await blank.attach({ codeLayers: [probes] });
    const tries = ['echo x > /function/calls', 'rm /function/calls', 'umount /function', 'mv /function /tmp/f'];
    for (const one of tries)
      expect(await blank.exec(['sh', '-c', one], { env: { PATH: '/usr/bin:/bin' } }), one).not.toMatchObject({
        status: 0,
      });
    await blank.destroy();
  });
});

describe('attach', () => {
  it('refuses a second version, and one of a code layer whose directory is a link', async () => {
    const linked = await lab.unpack({ function: { linkname: '/etc' } });
    const blank = await startBlank('calls');
    await expect(blank.attach({ codeLayers: [linked] })).rejects.toMatchObject({ code: 'attach_failed' });
    await expect(blank.attach({ codeLayers: [probes] })).rejects.toMatchObject({ code: 'already_attached' });
    await blank.destroy();
    const other = await lab.start([], { codeLayers: [], argv: ['sleep', '1000'] });
    await other.attach({ codeLayers: [probes] });
    await expect(other.attach({ codeLayers: [probes] })).rejects.toMatchObject({ code: 'already_attached' });
    await other.destroy();
  });

  it(`leaves nothing after ${ROUNDS} rounds`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const blank = await lab.start([], { codeLayers: [], argv: ['sleep', '1000'] });
      await blank.attach({ codeLayers: [probes], ...LIMITS });
      await blank.destroy();
    }
    expect(await lab.checkRest()).toEqual({ next: 'fine\n', host: lab.before });
  });
});
