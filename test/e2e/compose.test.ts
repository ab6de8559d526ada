/** Compose files by the real command line: order, names, health, changes, the foreground. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CLI } from '../helpers/paths.ts';
import { type CliResult, runCli, startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { startPty } from '../helpers/pty.ts';
import { until } from '../helpers/until.ts';

let dir: string;
let wafer: TestPlatform;
let env: Record<string, string>;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'shop-'));
  wafer = await startTestPlatform();
  env = { WAFER_URL: wafer.url, WAFER_KEY: wafer.key, COMPOSE_PROJECT_NAME: 'shop' };
});

afterEach(async () => {
  await compose('down', '-t', '1');
});

afterAll(async () => {
  await wafer?.wafer(['image', 'rm', 'shop-app']);
  await wafer?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const write = (text: string, name = 'compose.yaml') => writeFileSync(join(dir, name), text);
const compose = (...args: string[]): Promise<CliResult> => runCli(['compose', ...args], { env, cwd: dir });
async function ok(...args: string[]): Promise<CliResult> {
  const result = await compose(...args);
  expect(result, `compose ${args.join(' ')}: ${result.stderr}`).toMatchObject({ status: 0 });
  return result;
}
interface Shown {
  service: string;
  id: string;
  name: string;
  status: string;
  exitCode: number | null;
  ports: { hostPort: number }[];
  startedAt: number;
  finishedAt: number;
}
async function ps(): Promise<Record<string, Shown>> {
  const all = JSON.parse((await ok('ps', '--json')).stdout) as Shown[];
  return Object.fromEntries(all.map((one) => [one.service, one]));
}

const SLEEP = `trap "exit 0" TERM; while :; do sleep 0.1; done`;

describe('wafer compose', () => {
  it('up -d starts in the order of conditions; ps and logs show it; down removes it', async () => {
    write(`
services:
  web:
    image: debian12
    command: ["sh", "-c", 'echo web $$GREETING; ${SLEEP}']
    environment:
      GREETING: "\${GREETING:-hello}"
    depends_on:
      db: { condition: service_healthy }
      job: { condition: service_completed_successfully }
    volumes: ["data:/data"]
  db:
    image: debian12
    command: ["sh", "-c", 'echo db; sleep 1; touch /tmp/ready; ${SLEEP}']
    healthcheck: { test: test -f /tmp/ready, interval: 200ms, timeout: 5s, retries: 50 }
  job:
    image: debian12
    command: sh -c 'echo migrated; echo careful >&2'
volumes:
  data:
`);
    const up = await ok('up', '-d');
    expect(up.stderr).toMatch(/web +created/);
    const services = await ps();
    expect(
      Object.fromEntries(Object.values(services).map(({ service, name, status }) => [service, [name, status]])),
    ).toEqual({
      web: ['shop-web-1', 'running'],
      db: ['shop-db-1', 'running'],
      job: ['shop-job-1', 'exited'],
    });
    expect(services['web']!.startedAt).toBeGreaterThanOrEqual(services['job']!.finishedAt);
    expect((await ok('ps')).stdout).toMatch(/db +shop-db-1 +debian12 .* running .*\(healthy\)/);
    const logs = await ok('logs');
    expect(logs.stdout.split('\n').sort()).toEqual(['', 'db  | db', 'job | migrated', 'web | web hello']);
    expect(logs.stderr).toBe('job | careful\n');
    expect((await ok('logs', '--no-log-prefix', 'db')).stdout).toBe('db\n');

    // Nothing changed, nothing is made again; what ended is started again.
    const again = await ok('up', '-d');
    expect(again.stderr).toMatch(/web +unchanged/);
    expect((await ps())['web']!.id).toBe(services['web']!.id);
    // Another variable is another setting, of one service.
    const changed = await runCli(['compose', 'up', '-d'], { env: { ...env, GREETING: 'servus' }, cwd: dir });
    expect(changed.stderr).toMatch(/web +recreated/);
    expect(changed.stderr).toMatch(/db +unchanged/);
    await until('it greets', async () => (await ok('logs', 'web')).stdout.includes('web servus'));

    const down = await compose('down', '-v', '-t', '5');
    expect(down).toMatchObject({ status: 1, stderr: expect.stringContaining('these stay: shop_data') });
    expect(down.stderr.indexOf('web ')).toBeLessThan(down.stderr.indexOf('db '));
    expect((await ok('ps')).stdout).toContain('has no containers');
  });

  it('services reach each other by name, and a published port is on loopback', async () => {
    write(`
services:
  web:
    image: node24
    command: ["node", "-e", "require('http').createServer((q, r) => r.end('from web')).listen(80, '0.0.0.0')"]
    ports: ["127.0.0.1::80"]
  client:
    image: node24
    depends_on: [web]
    command:
      - node
      - -e
      - |
        const ask = () => fetch('http://web/').then((r) => r.text()).then(console.log, () => setTimeout(ask, 100));
        ask();
`);
    await ok('up', '-d');
    const { web } = await ps();
    const [port] = web!.ports;
    await until('the port answers', async () => {
      const answer = await fetch(`http://127.0.0.1:${port!.hostPort}/`).catch(() => null);
      return answer !== null && (await answer.text()) === 'from web';
    });
    await until('the client has asked', async () => (await ok('logs', 'client')).stdout.includes('client | from web'));
  });

  it('build makes the image of a service; --build makes it again after a change', async () => {
    mkdirSync(join(dir, 'app'), { recursive: true });
    const dockerfile = (word: string) => {
      const text = `FROM debian12\nARG WORD\nENV WORD=$WORD\nCMD ["sh", "-c", "echo ${word} $WORD"]\n`;
      writeFileSync(join(dir, 'app/Dockerfile'), text);
    };
    dockerfile('first');
    write('services:\n  app:\n    build: { context: app, args: { WORD: given } }\n');
    await ok('up', '-d');
    await until('it has run', async () => (await ok('logs')).stdout === 'app | first given\n');
    dockerfile('second');
    expect((await ok('up', '-d')).stderr).toMatch(/app +started/);
    expect((await ok('up', '-d', '--build')).stderr).toMatch(/app +recreated/);
    await until('the new one has run', async () => (await ok('logs')).stdout === 'app | second given\n');
  });

  it('a dependency that fails is told, and who waits for it is not started', async () => {
    write(`
services:
  web: { image: debian12, command: sleep 100, depends_on: { job: { condition: service_completed_successfully } } }
  job: { image: debian12, command: sh -c 'exit 3' }
`);
    const up = await compose('up', '-d');
    expect(up).toMatchObject({ status: 1, stderr: expect.stringContaining('The service job ended with exit code 3') });
    expect(Object.keys(await ps())).toEqual(['job']);
  });

  it('up in the foreground shows every service and ends when all have ended', async () => {
    write(`
services:
  one: { image: debian12, command: sh -c 'echo first; exit 0' }
  two: { image: debian12, command: sh -c 'echo second; exit 4' }
`);
    const up = await compose('up');
    expect(up.status).toBe(1);
    expect(up.stdout.split('\n').sort()).toEqual(['', 'one | first', 'two | second']);
    expect(up.stderr).toContain('two | ended with exit code 4');
  });

  it('ctrl-C in the foreground stops all services, in order, and gives 130', async () => {
    write(`
services:
  web: { image: debian12, depends_on: [db], command: ["sh", "-c", 'echo web is up; ${SLEEP}'] }
  db: { image: debian12, command: ["sh", "-c", 'echo db is up; trap "echo db stops; exit 0" TERM; while :; do sleep 0.1; done'] }
`);
    const screen = startPty([process.execPath, CLI, 'compose', '-f', join(dir, 'compose.yaml'), 'up'], {
      ...process.env,
      ...env,
    });
    await screen.seeAll('web is up', 'db is up');
    screen.type('\x03');
    expect(await screen.ended).toMatchObject({ code: 130, echo: true, canonical: true });
    expect(screen.screen()).toContain('db stops');
    const { web, db } = await ps();
    expect([web!.status, db!.status]).toEqual(['exited', 'exited']);
    expect(web!.finishedAt).toBeLessThanOrEqual(db!.finishedAt);
  });

  it('logs -f follows until ctrl-C', async () => {
    write(`services:\n  web: { image: debian12, command: ["sh", "-c", 'while :; do echo tick; sleep 0.1; done'] }\n`);
    await ok('up', '-d');
    const child = spawn(process.execPath, [CLI, 'compose', 'logs', '-f', '--tail', '1'], {
      env: { ...process.env, ...env },
      cwd: dir,
    });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    await until('it ticks', () => out.split('\n').length > 4);
    child.kill('SIGINT');
    expect((await once(child, 'close'))[0]).toBe(0);
    expect(new Set(out.trim().split('\n'))).toEqual(new Set(['web | tick']));
  });

  it('a container of a service that is not in the file any more is told, and removed on request', async () => {
    write('services:\n  a: { image: debian12, command: sleep 100 }\n  b: { image: debian12, command: sleep 100 }\n');
    await ok('up', '-d');
    write('services:\n  a: { image: debian12, command: sleep 100 }\n');
    expect((await ok('up', '-d')).stderr).toContain('shop-b-1 is of a service that the file has no more');
    await ok('up', '-d', '--remove-orphans', '-t', '0');
    expect(Object.keys(await ps())).toEqual(['a']);
  });

  it('a mistake in the file starts nothing', async () => {
    write('services:\n  a: { image: debian12 }\n  b: { image: debian12, privileged: true }\n');
    const up = await compose('up', '-d');
    expect(up).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/compose\.yaml:3:25: service b: "privileged" is not supported/),
    });
    expect(await compose('-p', 'shop', 'ps')).toMatchObject({ stdout: expect.stringContaining('has no containers') });
  });
});
