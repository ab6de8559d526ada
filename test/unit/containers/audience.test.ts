/** Who listens to a program: all of it, in order, at the pace of the slowest, with the log first. */
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import type { ContainerLogLine } from '../../../services/core/containers/types.ts';
import { createAudience } from '../../../services/worker/containers/audience.ts';

const tick = () => new Promise((resolve) => setImmediate(resolve));
const join = (audience: ReturnType<typeof createAudience>, replay: AsyncIterable<ContainerLogLine> | null = null) =>
  audience.join({ replay, hasStdin: true });

describe('an audience', () => {
  it('holds the program back until the slowest has taken what it was given', async () => {
    const audience = createAudience();
    const quick: string[] = [];
    join(audience).onOutput((_stream, chunk) => void quick.push(chunk.toString()));
    let release: () => void = () => {};
    join(audience).onOutput(() => new Promise<void>((resolve) => (release = resolve)));
    await tick();
    let isTaken = false;
    const said = Promise.resolve(audience.say('stdout', Buffer.from('a'))).then(() => (isTaken = true));
    await tick();
    expect([quick, isTaken]).toEqual([['a'], false]);
    release();
    await said;
  });

  it('gives the replay first, then what was said meanwhile, then the end', async () => {
    const audience = createAudience();
    let go: () => void = () => {};
    const gate = new Promise<void>((resolve) => (go = resolve));
    async function* replay(): AsyncGenerator<ContainerLogLine> {
      yield { time: 1, stream: 'stdout', text: 'old' };
      await gate;
      yield { time: 1, stream: 'stderr', text: 'par', partial: true };
    }
    const session = join(audience, replay());
    const got: string[] = [];
    session.onOutput((stream, chunk) => void got.push(`${stream} ${chunk}`));
    const said = audience.say('stdout', Buffer.from('new'));
    audience.end(3);
    await tick();
    expect(got).toEqual(['stdout old\n']);
    go();
    await said;
    expect(await session.ended).toBe(3);
    expect(got).toEqual(['stdout old\n', 'stderr par', 'stdout new']);
  });

  it('does not wait for who has left, or whose listener failed', async () => {
    const audience = createAudience();
    const gone = join(audience);
    gone.onOutput(() => new Promise(() => {}));
    join(audience).onOutput(() => Promise.reject(new Error('broken pipe')));
    await tick();
    const said = audience.say('stdout', Buffer.from('x'));
    gone.leave();
    await said;
    await audience.say('stdout', Buffer.from('y'));
  });

  it('passes on input that came before the program, from whoever sends it', async () => {
    const audience = createAudience();
    const [one, two] = [join(audience), join(audience)];
    one.stdin?.write('early ');
    const stdin = new PassThrough();
    audience.begin({ stdin, resize: async () => {} });
    await tick();
    two.stdin?.end('late');
    expect(await text(stdin)).toBe('early late');
    one.stdin?.end('into nothing');
    audience.end(0);
  });
});
