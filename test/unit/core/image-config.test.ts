import { describe, expect, test } from 'vitest';
import { WaferError } from '../../../services/core/errors.ts';
import { dockerfileOf } from '../../../services/core/functions/dockerfile.ts';
import { configOfImage, environmentOf, exposedPorts } from '../../../services/core/functions/image-config.ts';
import type { ConfigFile } from '../../../services/core/functions/schema.ts';
import type { ImageConfig } from '../../../services/core/images/types.ts';

type Own = ImageConfig['config'];
const decide = (config: Own, file: ConfigFile = {}, layers = 3) => configOfImage(file, { name: 'app', config, layers });

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof WaferError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('what an image runs as', () => {
  test('is a program for each call when it says nothing else, with ENTRYPOINT and CMD together', () => {
    expect(decide({ Entrypoint: ['/app'], Cmd: ['-v'] })).toMatchObject({
      runtime: 'image',
      command: ['/app', '-v'],
      base: '',
      handler: '',
      concurrency: 1,
      reuse: false,
      timeoutMs: 30_000,
    });
  });

  test('reuses its instances as a label says, but not because it was a program for each call before', () => {
    const Labels = { 'dev.wafer.config': '{"runtime":"image","reuse":false}' };
    expect(decide({ Cmd: ['x'], Labels }, { runtime: 'http' }).reuse).toBe(true);
    expect(decide({ Cmd: ['x'], Labels: { 'dev.wafer.config': '{"runtime":"http","reuse":false}' } }).reuse).toBe(
      false,
    );
  });

  test('is a server when it EXPOSEs a TCP port, unless the settings or a label say otherwise', () => {
    const ExposedPorts = { '80/tcp': {}, '9/udp': {} };
    expect(decide({ Cmd: ['x'], ExposedPorts }).runtime).toBe('http');
    expect(decide({ Cmd: ['x'], ExposedPorts: { '9/udp': {} } }).runtime).toBe('image');
    expect(decide({ Cmd: ['x'], ExposedPorts }, { runtime: 'image' }).runtime).toBe('image');
    expect(decide({ Cmd: ['x'], ExposedPorts, Labels: { 'dev.wafer.runtime': 'image' } }).runtime).toBe('image');
  });

  test('is what the labels of a version say, its settings included; the deploy wins', () => {
    const settings = {
      runtime: 'node',
      base: 'node24',
      handler: 'a.b',
      command: [],
      env: { A: '1' },
      memoryMb: 64,
      later: 1,
    };
    const Labels = {
      'dev.wafer.config': JSON.stringify(settings),
      'dev.wafer.base': 'node24',
      'dev.wafer.base-layers': '2',
    };
    expect(decide({ Labels })).toMatchObject({
      runtime: 'node',
      base: 'node24',
      handler: 'a.b',
      command: [],
      memoryMb: 64,
    });
    expect(decide({ Labels }, { memoryMb: 512, env: {} })).toMatchObject({ memoryMb: 512, env: {}, handler: 'a.b' });
    const other = decide({ Labels, Cmd: ['run'] }, { runtime: 'image' });
    expect(other).toMatchObject({ runtime: 'image', command: ['run'], handler: '' });
  });

  test.each<[string, Own, ConfigFile, RegExp]>([
    ['nothing to run', {}, {}, /^invalid_image .*neither ENTRYPOINT nor CMD/],
    ['an empty program', { Entrypoint: [''] }, {}, /^invalid_image .*neither/],
    ['a NUL in its program', { Cmd: ['a\0b'] }, {}, /^invalid_image .*NUL/],
    ['a NUL in its WORKDIR', { Cmd: ['a'], WorkingDir: '/\0' }, {}, /^invalid_image .*NUL/],
    ['a program of megabytes', { Cmd: ['a'.repeat(40_000)] }, {}, /^invalid_image .*more than 32768 bytes/],
    [
      'a large variable',
      { Cmd: ['a'], Env: [`A=${'x'.repeat(200_000)}`] },
      {},
      /^invalid_image .*environment is too large/,
    ],
    ['an unknown runtime', { Labels: { 'dev.wafer.runtime': 'ruby' } }, {}, /^invalid_image .*"ruby"/],
    [
      'settings that are no object',
      { Labels: { 'dev.wafer.config': '[]' } },
      {},
      /^invalid_image .*dev\.wafer\.config/,
    ],
    [
      'more base layers than layers',
      { Cmd: ['a'], Labels: { 'dev.wafer.base-layers': '4' } },
      {},
      /^invalid_image .*"4"/,
    ],
    ['a handler for a program', { Cmd: ['a'] }, { handler: 'a.b' }, /^invalid_config \/handler/],
    ['a base', { Cmd: ['a'] }, { base: 'node24' }, /^invalid_config \/base/],
    ['concurrency for a program', { Cmd: ['a'] }, { concurrency: 2 }, /^invalid_config \/concurrency/],
    ['reuse for a program', { Cmd: ['a'] }, { reuse: true }, /^invalid_config \/reuse/],
    [
      'concurrency without reuse',
      { Cmd: ['a'], ExposedPorts: { '80/tcp': {} }, Labels: { 'dev.wafer.config': '{"concurrency":5}' } },
      { reuse: false },
      /^invalid_config \/concurrency/,
    ],
  ])('is refused with %s', (_what, config, file, message) => {
    expect(refusal(() => decide(config, file))).toMatch(message);
  });

  test('passes over what is no variable and no port', () => {
    expect(environmentOf({ Env: ['A=1', 'B', '=x', 'C=a=b', 'D=\0', 'A=2'] })).toEqual({ A: '2', C: 'a=b' });
    expect(exposedPorts({ ExposedPorts: { '9000/tcp': {}, '80': {}, '0/tcp': {}, '70000/tcp': {}, x: {} } })).toEqual([
      80, 9000,
    ]);
    const environment = environmentOf({ Env: ['__proto__=x'] });
    expect(Object.keys(environment)).toEqual(['__proto__']);
  });
});

describe('a Dockerfile in a folder', () => {
  test('counts when nothing says how else the function is made', () => {
    expect(dockerfileOf({}, () => true)).toBe('Dockerfile');
    expect(dockerfileOf({ runtime: 'http' }, () => true)).toBe('Dockerfile');
    expect(dockerfileOf({ runtime: 'image' }, () => false)).toBeNull();
    expect(dockerfileOf({ runtime: 'node' }, () => true)).toBeNull();
    expect(dockerfileOf({ runtime: 'http', base: 'node24' }, () => true)).toBeNull();
    expect(dockerfileOf({ runtime: 'python', dockerfile: './x/Dockerfile' }, () => false)).toBe('x/Dockerfile');
  });

  test.each(['../Dockerfile', '/Dockerfile', './', 'a//b', 'a/../../b'])('is not %j', (dockerfile) => {
    expect(refusal(() => dockerfileOf({ dockerfile }, () => true))).toMatch(/^invalid_config \/dockerfile/);
  });
});
