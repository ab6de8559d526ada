import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import tar from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { readOnly } from '../../../services/worker/builder/typescript.ts';

describe('reading the bundle out of a packed layer', () => {
  it('finds the one file', async () => {
    const pack = tar.pack();
    pack.entry({ name: 'out/other.mjs' }, 'no');
    pack.entry({ name: 'out/index.mjs' }, 'bundle');
    pack.finalize();
    expect((await readOnly(pack.pipe(new PassThrough()), 'out/index.mjs'))?.toString()).toBe('bundle');
  });

  it('fails when the packing fails, before or in the middle of a file', async () => {
    const early = new PassThrough();
    const none = readOnly(early, 'out/index.mjs');
    early.destroy(new Error('pack failed'));
    await expect(none).rejects.toThrow('pack failed');
    const pack = tar.pack();
    pack.entry({ name: 'out/index.mjs' }, 'x'.repeat(10_000));
    pack.finalize();
    const whole = await buffer(pack);
    const late = new PassThrough();
    late.write(whole.subarray(0, 5000));
    const part = readOnly(late, 'out/index.mjs');
    setImmediate(() => late.destroy(new Error('pack failed')));
    await expect(part).rejects.toThrow();
  });
});
