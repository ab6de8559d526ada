import { describe, expect, it } from 'vitest';
import { withDefaults } from '../../../services/core/containers/config.ts';
import { findContainer, newContainerName } from '../../../services/core/containers/names.ts';
import { argvOf, healthOf, mountsOf, programEnv, stopSignalOf } from '../../../services/core/containers/plan.ts';
import type { ContainerRecord } from '../../../services/core/containers/record.ts';
import { parseRecord } from '../../../services/core/containers/record.ts';
import { signalNumber } from '../../../services/core/containers/signals.ts';
import {
  assertAllowed,
  restartDelayMs,
  startsWithPlatform,
  stateAfter,
  wantsRestart,
} from '../../../services/core/containers/state.ts';
import { createFileTree, FOLDER } from '../../../services/core/images/dockerfile/file-tree.ts';
import { changesOf } from '../../../services/worker/containers/changes.ts';

const record = (more: Partial<ContainerRecord> = {}): ContainerRecord => ({
  format: 1,
  id: '0123456789abcdefghjkm',
  name: 'one',
  config: withDefaults({ image: 'x' }),
  imageDigest: `sha256:${'a'.repeat(64)}`,
  argv: ['x'],
  mounts: [],
  status: 'created',
  exitCode: null,
  oomKilled: false,
  error: null,
  restartCount: 0,
  createdAt: 1,
  startedAt: null,
  finishedAt: null,
  stoppedByHand: false,
  cutByPlatform: false,
  ...more,
});

describe('the states', () => {
  it('follow a run from its start to its end, and forget the run before', () => {
    const failed = record({
      status: 'exited',
      exitCode: 1,
      error: 'old',
      oomKilled: true,
      startedAt: 1,
      stoppedByHand: true,
    });
    const running = stateAfter(failed, { type: 'started', time: 5 });
    expect(running).toMatchObject({
      status: 'running',
      error: null,
      oomKilled: false,
      startedAt: 5,
      stoppedByHand: false,
    });
    expect(stateAfter(running, { type: 'paused' }).status).toBe('paused');
    const ending = { exitCode: 0, oomKilled: false, error: null, time: 9 };
    expect(stateAfter(running, { type: 'ended', willRestart: false, ...ending })).toMatchObject({
      status: 'exited',
      finishedAt: 9,
    });
    expect(stateAfter(running, { type: 'ended', willRestart: true, ...ending }).status).toBe('restarting');
    const start = { type: 'start_failed', error: 'no', exitCode: 127 } as const;
    expect([stateAfter(record(), start).status, stateAfter(failed, start).status]).toEqual(['created', 'exited']);
  });

  it.each([
    ['start', 'running'],
    ['start', 'paused'],
    ['pause', 'paused'],
    ['pause', 'exited'],
    ['unpause', 'running'],
    ['exec', 'created'],
    ['exec', 'paused'],
    ['kill', 'exited'],
    ['remove', 'running'],
    ['remove', 'restarting'],
  ] as const)('do not allow to %s what is %s', (action, status) => {
    expect(() => assertAllowed(action, record({ status }))).toThrow(/The container one is/);
  });

  it.each([
    ['no', 1, 0, false],
    ['on-failure', 0, 0, false],
    ['on-failure', 1, 2, true],
    ['on-failure', 1, 3, false],
    ['always', 0, 99, true],
    ['unless-stopped', 1, 99, true],
  ] as const)('%s after exit code %i and %i restarts: again %s', (name, exitCode, restarts, again) => {
    const maximumRetries = name === 'on-failure' ? 3 : 0;
    expect(wantsRestart({ name, maximumRetries }, exitCode, restarts)).toBe(again);
  });

  it('wait longer after each failure, and never longer than a minute', () => {
    expect([0, 1, 2, 3].map(restartDelayMs)).toEqual([100, 200, 400, 800]);
    expect(restartDelayMs(1_000)).toBe(60_000);
  });

  it.each([
    ['always', { startedAt: 1, stoppedByHand: true }, true],
    ['always', {}, false],
    ['unless-stopped', { startedAt: 1, cutByPlatform: true }, true],
    ['unless-stopped', { startedAt: 1, cutByPlatform: true, stoppedByHand: true }, false],
    ['unless-stopped', { startedAt: 1 }, false],
    ['on-failure', { startedAt: 1, cutByPlatform: true }, false],
  ] as const)('%s with %j starts with the platform: %s', (name, more, starts) => {
    const config = withDefaults({ image: 'x', restart: { name, maximumRetries: 0 } });
    expect(startsWithPlatform(record({ config, ...more }))).toBe(starts);
  });
});

describe('what runs', () => {
  const image = { Entrypoint: ['/entry'], Cmd: ['a'] };
  it.each([
    [{}, ['/entry', 'a']],
    [{ command: ['b'] }, ['/entry', 'b']],
    [{ entrypoint: ['/own'] }, ['/own']],
    [{ entrypoint: ['/own'], command: ['c'] }, ['/own', 'c']],
    [{ entrypoint: [], command: ['c'] }, ['c']],
  ])('of %j over an image with both is %j', (config, argv) => {
    expect(argvOf({ image: 'x', ...config }, image)).toEqual(argv);
  });

  it('has the environment of the image, and over it that of the container', () => {
    const accounts = { passwd: 'web:x:33:33::/srv:/bin/sh', group: '' };
    const user = { uid: 33, gid: 33, groups: [] };
    const env = programEnv({
      config: { env: { B: 'own', E: 'a=b' }, terminal: true },
      image: { Env: ['A=image', 'B=image', 'PATH=/p'] },
      user,
      accounts,
      hostname: 'box',
    });
    expect(env).toEqual({ A: 'image', B: 'own', E: 'a=b', PATH: '/p', HOME: '/srv', HOSTNAME: 'box', TERM: 'xterm' });
  });

  it('has an anonymous volume for each VOLUME of the image that nothing covers, and none for one that leads elsewhere', () => {
    const config = { mounts: [{ volume: 'named', path: '/data/', readOnly: true }] };
    const mounts = mountsOf('i', config, { Volumes: { '/data': {}, '/cache/': {}, '/../x': {}, relative: {} } });
    expect(mounts).toEqual([
      { volume: 'named', path: '/data', readOnly: true, anonymous: false },
      { volume: 'anon-i-1', path: '/cache', readOnly: false, anonymous: true },
    ]);
  });

  it('is stopped by the signal of the container, else of the image, else SIGTERM', () => {
    expect(stopSignalOf({ stopSignal: 'usr1' }, { StopSignal: 'SIGINT' })).toBe(10);
    expect(stopSignalOf({}, { StopSignal: 'SIGQUIT' })).toBe(3);
    expect(stopSignalOf({}, { StopSignal: 'nonsense' })).toBe(15);
    expect(['9', 'KILL', 'SIGKILL', 'sigrtmin+3'].map(signalNumber)).toEqual([9, 9, 9, 37]);
  });

  it('is checked as the image says, unless the container says otherwise', () => {
    const image = { Healthcheck: { Test: ['CMD', 'x'], Interval: 2e9, Retries: 0 } };
    expect(healthOf({}, image)).toMatchObject({ intervalSeconds: 2, timeoutSeconds: 30, retries: 3 });
    expect(healthOf({ health: null }, image)).toBeNull();
    expect(healthOf({}, { Healthcheck: { Test: ['NONE'] } })).toBeNull();
  });
});

describe('names', () => {
  const all = ['abcd0', 'abcd1', 'xyz00'].map((id) => ({ id, name: `n-${id}` }));
  it('lead to one, or say that they lead to several or none', () => {
    const find = (ref: string) => findContainer(all, (one) => one, ref).id;
    expect([find('abcd0'), find('n-xyz00'), find('xyz0')]).toEqual(['abcd0', 'xyz00', 'xyz00']);
    expect(() => find('abcd')).toThrow(/beginning of 2 ids/);
    expect(() => find('xyz')).toThrow(/There is no container/);
  });

  it('are made up until one is free', () => {
    let asked = 0;
    const name = newContainerName(() => {
      asked += 1;
      return asked < 20;
    });
    expect(name).toMatch(/^[a-z]+-[a-z]+-\d+$/);
  });
});

describe('a record', () => {
  it('is read back as it was; what is torn, of another, or of another shape is none', () => {
    const text = JSON.stringify(record());
    expect(parseRecord(text, record().id)).toEqual(record());
    const bad = [
      text.slice(0, -1),
      '',
      '[]',
      text.replace('"format":1', '"format":2'),
      text.replace('"created"', '"flying"'),
    ];
    for (const one of bad) expect(parseRecord(one, record().id)).toBeNull();
    expect(parseRecord(text, 'another')).toBeNull();
  });
});

describe('changes', () => {
  it('are what the writable layer adds, changes, hides, and what an opaque folder leaves out', () => {
    const below = createFileTree();
    for (const path of ['etc/a', 'etc/b', 'old/x/y', 'old/z', 'same']) below.set(path, { ...FOLDER, kind: 'file' });
    const file = { ...FOLDER, kind: 'file' as const };
    const entries = new Map([
      ['etc', FOLDER],
      ['etc/a', file],
      ['etc/new', file],
      ['old', FOLDER],
      ['old/z', file],
    ]);
    const changes = changesOf(below, {
      entries,
      whiteouts: ['etc/b', 'never/was'],
      opaque: ['old'],
      accounts: new Map(),
    });
    expect(changes.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      'changed /etc',
      'changed /etc/a',
      'deleted /etc/b',
      'added /etc/new',
      'changed /old',
      'deleted /old/x',
      'changed /old/z',
    ]);
  });
});
