import { describe, expect, test } from 'vitest';
import { WaferError } from '../../../services/core/errors.ts';
import { applyDefaults } from '../../../services/core/functions/defaults.ts';
import { editDistance, nearest } from '../../../services/core/functions/nearest.ts';
import { parseConfigText, validateConfig } from '../../../services/core/functions/validate.ts';

function failureOf(run: () => unknown): WaferError {
  try {
    run();
  } catch (error) {
    if (error instanceof WaferError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const refusal = (value: unknown) => {
  const { code, message } = failureOf(() => validateConfig(value));
  return `${code} ${message}`;
};

describe('parseConfigText()', () => {
  test('takes comments, trailing commas and a byte order mark', () => {
    expect(parseConfigText('\uFEFF// mine\n{ "memoryMb": 64, /* x */ "env": {"A": "b",}, }', 'wafer.json')).toEqual({
      memoryMb: 64,
      env: { A: 'b' },
    });
  });

  test('a syntax error names file, line and column', () => {
    const error = failureOf(() => parseConfigText('{\n  "memoryMb": 64\n  "tmpMb": 1\n}', 'wafer.json'));
    expect(error.message).toBe('wafer.json, line 3, column 3: a comma is expected here.');
    expect(error.details).toEqual({ file: 'wafer.json', line: 3, column: 3 });
  });

  test.each([
    ['', 'line 1, column 1'],
    ['{', 'a closing } is missing'],
    ['{"a": nope}', 'text needs double quotes'],
    ['{} {}', 'behind the end'],
  ])('refuses %j', (text, part) => {
    expect(failureOf(() => parseConfigText(text, 'wafer.json')).message).toContain(part);
  });

  test('refuses a key that is there twice, at any depth, with its path', () => {
    const error = failureOf(() => parseConfigText('{"env": {"A": "1",\n "A": "2"}}', 'wafer.json'));
    expect(error.message).toBe('wafer.json, line 2, column 2: /env/A: this key is there twice.');
  });

  test('refuses __proto__ and changes no prototype', () => {
    const error = failureOf(() => parseConfigText('{"env": {"__proto__": {"polluted": "yes"}}}', 'wafer.json'));
    expect(error.message).toContain('/env/__proto__: this name is not allowed');
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });

  test('refuses deep nesting and large text without running out of stack', () => {
    expect(failureOf(() => parseConfigText('['.repeat(200_000), 'wafer.json')).message).toContain(
      'nested deeper than 32',
    );
    expect(failureOf(() => parseConfigText(' '.repeat(2_000_000), 'wafer.json')).message).toContain('larger than');
  });
});

describe('validateConfig()', () => {
  test('takes every known setting and shares nothing with its argument', () => {
    const value = {
      $schema: './wafer.schema.json',
      name: 'hello',
      runtime: 'node',
      base: 'node24',
      handler: 'src/index.handler',
      env: { A: '1' },
      timeoutMs: 1000,
      memoryMb: 32,
      tmpMb: 1,
      concurrency: 1000,
      minInstances: 0,
      retries: {
        attempts: 5,
        backoff: 'fixed',
        delayMs: 10,
        maxDelayMs: 10,
        jitter: 0,
        on: ['function_timeout'],
        maxAgeMs: 1000,
      },
      queue: { maxPending: 10, concurrency: 2, concurrencyPerKey: 1, rate: { count: 10, periodMs: 1000, burst: 2 } },
      onSuccess: 'next-one',
      onFailure: 'https://example.org/hook?a=1',
      reuse: true,
    };
    const config = validateConfig(value);
    expect(config).toEqual(value);
    value.env.A = '2';
    expect(config.env).toEqual({ A: '1' });
  });

  test.each([
    [{ memoryMb: 31 }, '/memoryMb: must be a whole number from 32 to 32768, not 31.'],
    [
      { memoryMb: '256' },
      '/memoryMb: must be a whole number from 32 to 32768, not the text "256" (leave the quotes away).',
    ],
    [{ timeoutMs: 1.5 }, '/timeoutMs: must be a whole number from 1 to 900000, not 1.5.'],
    [{ timeoutMs: null }, '/timeoutMs: must be a whole number from 1 to 900000, not null.'],
    [{ memorymb: 64 }, '/memorymb: is not a known setting. Did you mean "memoryMb"?'],
    [{ timeout: 64 }, '/timeout: is not a known setting. Did you mean "timeoutMs"?'],
    [{ zzz: 64 }, '/zzz: is not a known setting.'],
    [{ runtime: 24 }, '/runtime: must be one of "node", "python", "http", "image", not 24.'],
    [{ name: 'Hello World' }, '/name: must be 1 to 63 lower-case letters, digits and dashes'],
    [{ handler: 'index' }, '/handler: must be a file without its ending, a dot and the name of an export'],
    [{ env: ['A'] }, '/env: must be an object whose values are texts, like {"NAME": "value"}, not a list.'],
    [{ env: { A: 1 } }, '/env/A: must be text of at most 32768 characters, not 1.'],
    [{ env: { 'A-B': 'x' } }, '/env/A-B: is not a name for a variable'],
    [{ env: { A: 'x\0y' } }, '/env/A: must not hold a NUL character.'],
    [{ command: [] }, '/command: must be a list of 1 to 64 texts, like ["node", "server.js"], not an empty list.'],
    [{ command: ['a', 'b\0'] }, '/command/1: must not hold a NUL character.'],
    [{ command: 'node server.js' }, '/command: must be a list of 1 to 64 texts'],
    [{ retries: 3 }, '/retries: must be an object with some of attempts, backoff, delayMs'],
    [{ retries: { attempts: 0 } }, '/retries/attempts: must be a whole number from 1 to 100, not 0.'],
    [{ retries: { attemps: 2 } }, '/retries/attemps: is not a known setting. Did you mean "attempts"?'],
    [{ retries: { backoff: 'linear' } }, '/retries/backoff: must be one of "fixed", "exponential", not "linear".'],
    [{ retries: { jitter: 0.5 } }, '/retries/jitter: must be a whole number from 0 to 100, not 0.5.'],
    [{ retries: { on: 'function_timeout' } }, '/retries/on: must be a list of 0 to 32 texts, like ["function_timeout"'],
    [{ retries: { on: ['timeout'] } }, '/retries/on/0: must be one of function_error, function_timeout'],
    [{ queue: { rate: { count: 1, period: 5, periodMs: 5 } } }, '/queue/rate/period: is not a known setting.'],
    [{ queue: { rate: { count: 1 } } }, '/queue/rate/periodMs: is needed.'],
    [{ queue: { maxpending: 1 } }, '/queue/maxpending: is not a known setting. Did you mean "maxPending"?'],
    [{ onSuccess: 'Next One' }, '/onSuccess: must be the name of a function, or a URL'],
    [{ onSuccess: 'ftp://example.org/' }, '/onSuccess: must begin with http:// or https://.'],
    [{ onFailure: 'https://user:pw@example.org/' }, '/onFailure: must not hold a name or a password.'],
    [{ onFailure: `https://example.org/${'a'.repeat(2040)}` }, '/onFailure: must'],
    [[], '/: must be an object {...}, not an empty list.'],
    ['x', '/: must be an object {...}, not "x".'],
    [JSON.parse('{"__proto__": 1}'), '/__proto__: is not a known setting.'],
    [JSON.parse('{"env": {"__proto__": "x"}}'), '/env/__proto__: is not a name for a variable'],
  ])('%j is refused with its path and rule', (value, message) => {
    expect(refusal(value)).toContain(`invalid_config ${message}`);
  });

  test('tells all problems at once, and gives them to programs', () => {
    const error = failureOf(() => validateConfig({ memoryMb: 1, tmpMb: 0, nope: 1 }));
    expect(error.message).toContain('/memoryMb: ');
    expect(error.message).toContain('/tmpMb: ');
    expect(error.details?.['problems']).toHaveLength(3);
  });

  test.each([
    ['nodejs', 'node'],
    ['nodejs20.x', 'node'],
    ['pyhton', 'python'],
    ['python3.11', 'python'],
  ])('runtime %s is unknown_runtime and suggests %s', (runtime, suggestion) => {
    const error = failureOf(() => validateConfig({ runtime }));
    expect(error.code).toBe('unknown_runtime');
    expect(error.message).toContain(`Did you mean "${suggestion}"?`);
    expect(error.hint).toBe('The runtimes are node, python, http, image.');
  });

  test('a runtime that resembles nothing gets the list only', () => {
    expect(failureOf(() => validateConfig({ runtime: 'cobol' })).message).toBe(
      '/runtime: "cobol" is not a known runtime.',
    );
  });
});

describe('applyDefaults()', () => {
  const facts = (...files: string[]) => ({ files, defaultBase: (runtime: string) => `${runtime}-base` });

  test('guesses node from its files and fills every setting', () => {
    expect(applyDefaults({}, facts('index.mjs'))).toEqual({
      runtime: 'node',
      base: 'node-base',
      handler: 'index.handler',
      command: [],
      env: {},
      timeoutMs: 30_000,
      memoryMb: 256,
      tmpMb: 64,
      concurrency: 1,
      minInstances: 0,
      reuse: true,
    });
  });

  test('keeps what was set for accepted invocations, and nothing that was not', () => {
    const set = { retries: { attempts: 1 }, queue: { concurrency: 2 }, onFailure: 'notify' };
    const config = applyDefaults(set, facts('index.mjs'));
    expect(config).toMatchObject(set);
    expect(config).not.toHaveProperty('onSuccess');
  });

  test('lets a version opt out of reuse, which has no room for a second call in an instance', () => {
    const files = facts('index.mjs');
    expect(applyDefaults({ reuse: false, minInstances: 2 }, files)).toMatchObject({ reuse: false, concurrency: 1 });
    const error = failureOf(() => applyDefaults({ reuse: false, concurrency: 2 }, files));
    expect(error.code).toBe('invalid_config');
    expect(error.message).toContain('/concurrency: must be 1 with "reuse": false');
  });

  test('guesses python from main.py, and http from a command', () => {
    expect(applyDefaults({}, facts('main.py'))).toMatchObject({ runtime: 'python', handler: 'main.handler' });
    const http = applyDefaults({ command: ['node', 'server.js'] }, facts('server.js', 'package.json'));
    expect(http).toMatchObject({ runtime: 'http', handler: '', command: ['node', 'server.js'] });
  });

  test('says why a runtime can not be guessed, and which files there are', () => {
    const none = failureOf(() => applyDefaults({}, facts('notes.txt')));
    expect(none.message).toContain('/runtime: is not set and can not be guessed');
    expect(none.message).toContain('the files are notes.txt');
    const both = failureOf(() => applyDefaults({}, facts('index.js', 'main.py')));
    expect(both.message).toContain('look like both node and python');
  });

  test('a missing handler file names what was looked for and what is there', () => {
    const error = failureOf(() => applyDefaults({ runtime: 'node' }, facts('indx.js', 'lib/a.js')));
    expect(error.code).toBe('missing_handler');
    expect(error.message).toBe(
      'Handler "index.handler" needs one of index.mjs, index.js, index.cjs, index.ts, index.mts, index.cts; the files are indx.js, lib/a.js.',
    );
    expect(error.hint).toContain('Did you mean indx.js?');
  });

  test('a handler in a sub-folder, and one written with its ending', () => {
    expect(applyDefaults({ handler: 'src/api.get' }, facts('package.json', 'src/api.ts')).handler).toBe('src/api.get');
    const error = failureOf(() => applyDefaults({ handler: 'src/api.js.get' }, facts('package.json', 'src/api.js')));
    expect(error.message).toBe('/handler: names the file without its ending: "src/api.get".');
  });

  test.each([
    [{ runtime: 'http' as const }, '/command: is needed by runtime "http"'],
    [{ runtime: 'node' as const, command: ['x'] }, '/command: is for runtime "http"'],
    [{ runtime: 'http' as const, command: ['x'], handler: 'a.b' }, '/handler: is for node and python'],
    [{ runtime: 'node' as const, handler: '../../etc/passwd.x' }, '/handler: must not leave the folder'],
    [{ runtime: 'node' as const, handler: '/etc/passwd.x' }, '/handler: must not leave the folder'],
  ])('%j is refused', (file, message) => {
    expect(failureOf(() => applyDefaults(file, facts('index.js'))).message).toContain(message);
  });
});

describe('nearest()', () => {
  test('a swap of neighbours is one edit', () => {
    expect(editDistance('pyhton', 'python')).toBe(1);
    expect(editDistance('', 'abc')).toBe(3);
  });

  test('finds nothing for a word that is far from all', () => {
    expect(nearest('xyzzy', ['hello', 'thumbnail'])).toBeUndefined();
  });
});
