import { describe, expect, it, test } from 'vitest';
import { command, type RunContext } from '../../../services/cli/command.ts';
import type { ContainerRequest } from '../../../services/cli/container-client.ts';
import { programExit } from '../../../services/cli/containers/exit-codes.ts';
import { createFilter } from '../../../services/cli/containers/filters.ts';
import { containerFlags, containerRequest } from '../../../services/cli/containers/options.ts';
import {
  readCpuMillis,
  readEnvLines,
  readMemoryMb,
  readMount,
  readPorts,
  readRestart,
  readSeconds,
  readSignal,
} from '../../../services/cli/containers/parse.ts';
import { portText, statusText } from '../../../services/cli/containers/show.ts';
import { createUi } from '../../../services/cli/ui.ts';
import { WaferError } from '../../../services/core/errors.ts';
import { aContainer } from './containers.ts';

const sink = { isTTY: false, write: () => true };

/** What `wafer run WORDS` asks the API for. */
async function requestFor(words: string[], env: Record<string, string> = {}): Promise<ContainerRequest> {
  let request: ContainerRequest | undefined;
  const probe = command({
    name: 'run',
    about: '',
    args: containerFlags,
    rest: { after: 1, label: 'COMMAND', about: '' },
    examples: [],
    run: async (flags, context: RunContext) => {
      request = containerRequest(flags, context);
    },
  });
  await probe.run(words, { ui: createUi(sink, sink, {}), env, cwd: import.meta.dirname });
  if (request === undefined) throw new Error('it was not run');
  return request;
}

describe('wafer run', () => {
  it('sends what was asked for, and leaves the rest to the server', async () => {
    expect(await requestFor(['debian12'])).toEqual({
      image: 'debian12',
      env: {},
      terminal: false,
      stdin: false,
      mounts: [],
      ports: [],
      removeOnExit: false,
      labels: {},
    });
  });

  it('knows the flags people write for docker', async () => {
    const line =
      '-it --rm -v data:/data:ro -v /anon -e A=1 -e B -p 8080:80 -w /srv -u 1000:50 --name web --hostname h -m 1.5g --cpus 0.5 --pids-limit 9 --stop-signal int --stop-timeout 3 -l a=b --label c --health-cmd true --health-interval 1m30s --entrypoint /bin/sh --network none img -c x';
    expect(await requestFor(line.split(' '), { B: 'two' })).toEqual({
      image: 'img',
      name: 'web',
      entrypoint: ['/bin/sh'],
      command: ['-c', 'x'],
      env: { A: '1', B: 'two' },
      workingDir: '/srv',
      user: '1000:50',
      hostname: 'h',
      terminal: true,
      stdin: true,
      mounts: [
        { volume: 'data', path: '/data', readOnly: true },
        { volume: null, path: '/anon', readOnly: false },
      ],
      ports: [{ hostAddress: '127.0.0.1', hostPort: 8080, containerPort: 80 }],
      network: { mode: 'none' },
      removeOnExit: true,
      stopSignal: 'SIGINT',
      stopTimeoutSeconds: 3,
      memoryMb: 1536,
      pids: 9,
      cpuMillis: 500,
      labels: { a: 'b', c: '' },
      health: {
        test: ['CMD-SHELL', 'true'],
        intervalSeconds: 90,
        timeoutSeconds: 30,
        startPeriodSeconds: 0,
        retries: 3,
      },
    });
  });

  it('an empty entrypoint drops it, --no-healthcheck switches it off, -e over --env-file', async () => {
    const request = await requestFor([
      '--entrypoint=',
      '--no-healthcheck',
      '--env-file',
      'env-file.txt',
      '-e',
      'A=mine',
      'img',
    ]);
    expect(request).toMatchObject({
      entrypoint: [],
      health: null,
      env: { A: 'mine', QUOTED: '"as it is"', FROM_FILE: 'yes' },
    });
  });

  it.each([
    [['-v', './src:/app', 'img'], /folder of the host.*/],
    [['-v', '/src:/app', 'img'], /folder of the host/],
    [['-v', 'data', 'img'], /no path inside/],
    [['-p', '0.0.0.0:80:80', 'img'], /not a loopback address/],
    [['-p', '53:53/udp', 'img'], /only TCP/],
    [['-p', '70000', 'img'], /not a port/],
    [['-m', 'much', 'img'], /--memory: "much" is not a size/],
    [['--restart', 'sometimes', 'img'], /restart policy/],
    [['--rm', '--restart', 'always', 'img'], /exclude each other/],
    [['--network', 'host', 'img'], /one of none, public/],
    [['--network-alias', 'x', 'img'], /name in a group/],
    [['--privileged', 'img'], /no flag --privileged/],
    [['--env-file', 'nowhere', 'img'], /can not be read/],
  ])('refuses %j', async (words, message) => {
    await expect(requestFor(words)).rejects.toThrow(message);
  });
});

test.each([
  ['80', [[0, 80]]],
  ['8080:80', [[8080, 80]]],
  ['127.0.0.1:8080:80', [[8080, 80]]],
  ['127.0.0.1::80/tcp', [[0, 80]]],
  ['0:80', [[0, 80]]],
  [
    '8000-8002:90-92',
    [
      [8000, 90],
      [8001, 91],
      [8002, 92],
    ],
  ],
])('readPorts() reads %s', (text, pairs) => {
  expect(readPorts(text).map(({ hostPort, containerPort }) => [hostPort, containerPort])).toEqual(pairs);
});

test('readPorts() knows the loopback address of IPv6, and refuses ranges of two sizes', () => {
  expect(readPorts('[::1]:1:2')).toEqual([{ hostAddress: '::1', hostPort: 1, containerPort: 2 }]);
  expect(() => readPorts('1-2:1-3')).toThrow(/not of one size/);
  for (const text of ['', ':', 'a:b', '1:2:3:4', '99999:1', '1:0']) expect(() => readPorts(text), text).toThrow();
});

test('sizes, spans, cores, signals, policies', () => {
  expect(['512m', '1g', '1GiB', '1048576', '1.5k'].map(readMemoryMb)).toEqual([512, 1024, 1024, 1, 1]);
  expect(['30s', '1m30s', '500ms', '2h', '7'].map(readSeconds)).toEqual([30, 90, 0.5, 7200, 7]);
  expect(['0.5', '2'].map(readCpuMillis)).toEqual([500, 2000]);
  expect(['term', 'SIGHUP', '9', 'RTMIN+1'].map(readSignal)).toEqual(['SIGTERM', 'SIGHUP', '9', 'SIGRTMIN+1']);
  expect(readRestart('on-failure:3')).toEqual({ name: 'on-failure', maximumRetries: 3 });
  expect(readMount('data:/x:rw')).toEqual({ volume: 'data', path: '/x', readOnly: false });
  for (const wrong of ['0', '-1', '1x', '']) expect(() => readMemoryMb(wrong)).toThrow();
  for (const wrong of ['1y', '', '-1s', '1 m']) expect(() => readSeconds(wrong)).toThrow();
  expect(() => readRestart('always:3')).toThrow();
});

test('an env file is taken as it is, without quotes', () => {
  expect(readEnvLines('# no\nA=1\n\n  B="x y"\nHERE\nNOT_HERE\nC=a=b\r\n', { HERE: 'h' })).toEqual({
    A: '1',
    B: '"x y"',
    HERE: 'h',
    C: 'a=b',
  });
});

test.each([
  [{ exitCode: 127 }, 127],
  [{ exitCode: 126 }, 126],
  [{ exitCode: 3 }, 125],
  [{}, 125],
])('container_start_failed with %j is exit code %d', (details, code) => {
  expect(programExit(new WaferError('container_start_failed', 'no such file', { details }))).toBe(code);
});

test('other failures of run are 125', () => {
  expect(programExit(new WaferError('image_not_found', 'not found'))).toBe(125);
  expect(programExit(new Error('x'))).toBe(125);
});

test('--filter: values of one key are alternatives, keys are all to hold', () => {
  const web = aContainer({ name: 'web', status: 'running', labels: { team: 'a', tier: 'front' } });
  const db = aContainer({ name: 'db', status: 'exited', exitCode: 1, labels: { team: 'a' } });
  const names = (...filters: string[]) => [web, db].filter(createFilter(filters)).map(({ name }) => name);
  expect(names()).toEqual(['web', 'db']);
  expect(names('status=running', 'status=exited')).toEqual(['web', 'db']);
  expect(names('label=team=a', 'label=tier')).toEqual(['web']);
  expect(names('status=exited', 'name=web')).toEqual([]);
  expect(names('exited=1')).toEqual(['db']);
  expect(() => createFilter(['stats=x'])).toThrow(/not a filter/);
  expect(() => createFilter(['running'])).toThrow(/not a filter/);
});

test('states and ports are said in words', () => {
  const now = 1_000_000;
  const running = aContainer({ status: 'running', startedAt: now - 5000, health: 'healthy' });
  expect(statusText(running, now)).toBe('running 5 s (healthy)');
  expect(
    statusText(aContainer({ status: 'exited', exitCode: 137, oomKilled: true, finishedAt: now - 60_000 }), now),
  ).toBe('exited 137 (out of memory), 1 min ago');
  expect(portText({ ...running, ports: [{ hostAddress: '::1', hostPort: 8080, containerPort: 80 }] })).toBe(
    '[::1]:8080→80',
  );
});
