// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are variables of compose files
/** Compose files: what is understood, and what becomes of it. */
import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { startOrder, withDependencies } from '../../../../services/cli/compose/depends-on.ts';
import { containersOf, LABELS, requestOf, stopOrder } from '../../../../services/cli/compose/labels.ts';
import { loadProject, projectNameOf } from '../../../../services/cli/compose/project.ts';
import { aContainer } from '../containers.ts';
import { useComposeFolder } from './folder.ts';

const folder = useComposeFolder();
const { write, load } = folder;

/** The settings of the only service. */
function settings(lines: string, env: Record<string, string> = {}) {
  const { services } = load(
    `services:\n  web:\n    image: img\n${lines.replace(/^/gm, '    ')}\nvolumes:\n  data:\n`,
    env,
  );
  return services.get('web')!.settings;
}

describe('a service', () => {
  it('has every key of the common subset', () => {
    write('web.env', 'FROM_FILE=1\nBOTH=file\n');
    const project = load(
      `
name: shop
services:
  web:
    image: team/web:1
    command: serve --title "Hello World" 'it''s'
    entrypoint: ["/entry", "-x"]
    environment: { BOTH: mine, NUMBER: 1.10, FLAG: true, EMPTY: "", HOST: }
    env_file: web.env
    volumes: ["data:/data", "/cache", "data:/ro:ro"]
    ports: ["8080:80", 9090, "127.0.0.1:1:2", { target: 5, published: "6", host_ip: "::1" }]
    expose: [3000]
    depends_on: { db: { condition: service_healthy }, job: { condition: service_completed_successfully } }
    healthcheck: { test: curl localhost, interval: 1m30s, timeout: 3s, retries: 5, start_period: 10s }
    restart: on-failure:3
    working_dir: /srv
    user: "1000:50"
    hostname: web1
    container_name: the-web
    labels: { a: b, n: 1 }
    stop_signal: SIGINT
    stop_grace_period: 1m
    mem_limit: 64m
    cpus: 0.5
    pids_limit: 20
    tty: true
    stdin_open: true
    x-note: whatever
  db: { image: db, depends_on: [job] }
  job: { image: job, network_mode: none, restart: "no" }
volumes:
  data:
x-anything: [1]
`,
      { HOST: 'from-caller' },
    );
    const web = project.services.get('web')!;
    expect(web).toMatchObject({ image: 'team/web:1', containerName: 'the-web' });
    expect(web.dependsOn.map(({ service, condition }) => [service, condition])).toEqual([
      ['db', 'service_healthy'],
      ['job', 'service_completed_successfully'],
    ]);
    expect(web.settings).toEqual({
      command: ['serve', '--title', 'Hello World', 'its'],
      entrypoint: ['/entry', '-x'],
      env: { FROM_FILE: '1', BOTH: 'mine', NUMBER: '1.10', FLAG: 'true', EMPTY: '', HOST: 'from-caller' },
      mounts: [
        { volume: 'shop_data', path: '/data', readOnly: false },
        { volume: null, path: '/cache', readOnly: false },
        { volume: 'shop_data', path: '/ro', readOnly: true },
      ],
      ports: [
        { hostAddress: '127.0.0.1', hostPort: 8080, containerPort: 80 },
        { hostAddress: '127.0.0.1', hostPort: 0, containerPort: 9090 },
        { hostAddress: '127.0.0.1', hostPort: 1, containerPort: 2 },
        { hostAddress: '::1', hostPort: 6, containerPort: 5 },
      ],
      network: { mode: 'public', group: 'shop', aliases: ['web'] },
      health: {
        test: ['CMD-SHELL', 'curl localhost'],
        intervalSeconds: 90,
        timeoutSeconds: 3,
        startPeriodSeconds: 10,
        retries: 5,
      },
      restart: { name: 'on-failure', maximumRetries: 3 },
      workingDir: '/srv',
      user: '1000:50',
      hostname: 'web1',
      labels: { a: 'b', n: '1' },
      stopSignal: 'SIGINT',
      stopTimeoutSeconds: 60,
      memoryMb: 64,
      cpuMillis: 500,
      pids: 20,
      terminal: true,
      stdin: true,
    });
    expect(project.services.get('job')!.settings.network).toEqual({ mode: 'none' });
    expect(startOrder(project.services).map(({ name }) => name)).toEqual(['job', 'db', 'web']);
  });

  it('build is a folder, or says how', () => {
    const { services } = load(
      `
services:
  a: { build: ./app }
  b:
    build:
      context: app
      dockerfile: Dockerfile.dev
      args: [VERSION=2, FROM_CALLER, NOT_THERE]
      target: test
`,
      { FROM_CALLER: 'x' },
    );
    expect(services.get('a')!.build).toEqual({ context: join(folder.dir(), 'app'), args: {} });
    expect(services.get('b')!.build).toEqual({
      context: join(folder.dir(), 'app'),
      dockerfile: 'Dockerfile.dev',
      args: { VERSION: '2', FROM_CALLER: 'x' },
      target: 'test',
    });
  });

  it.each([
    ['healthcheck:\n  disable: true', { health: null }],
    ['healthcheck:\n  test: NONE\n'.replace('NONE', '["NONE"]'), { health: null }],
    [
      'healthcheck:\n  test: ["CMD", "true"]',
      { health: expect.objectContaining({ test: ['CMD', 'true'], retries: 3 }) },
    ],
    ['command: []', { command: [] }],
    ['environment:\n  - A=b=c\n  - GIVEN\n  - NOT_GIVEN', { env: { A: 'b=c', GIVEN: 'g' } }],
    ['env_file:\n  - path: nowhere.env\n    required: false', { env: {} }],
    [
      'volumes:\n  - type: volume\n    source: data\n    target: /d\n    read_only: true',
      { mounts: [{ volume: 'shop_data', path: '/d', readOnly: true }] },
    ],
  ])('%j', (lines, expected) => expect(settings(lines, { GIVEN: 'g' })).toMatchObject(expected));
});

describe('variables', () => {
  it.each([
    ['$NAME', 'set'],
    ['${NAME}-x', 'set-x'],
    ['${NONE:-d}', 'd'],
    ['${EMPTY:-d}', 'd'],
    ['${EMPTY-d}', ''],
    ['${NAME:+yes}', 'yes'],
    ['${NONE:+yes}', ''],
    ['${NONE:-${NAME}}', 'set'],
    ['${NONE:-a}b}', 'ab}'],
    ['$$NAME', '$NAME'],
    ['a$$', 'a$'],
  ])('%s is %s', (text, expected) => {
    expect(settings(`environment: { V: "${text}" }`, { NAME: 'set', EMPTY: '' }).env).toEqual({ V: expected });
  });

  it('come from the caller, then from .env; what is nowhere is empty and told', () => {
    write('.env', 'A=file\nB=file\nexport C="${B} \\"x\\" \\$y\\n"\nD=\'${B}\' # why\nE=plain # why\n');
    const project = load(
      'services:\n  w:\n    image: i\n    environment: [A=$A, B=$B, C=$C, D=$D, E=$E, F=x$NOWHERE]\n',
      { A: 'caller' },
    );
    expect(project.services.get('w')!.settings.env).toEqual({
      A: 'caller',
      B: 'file',
      C: 'file "x" $y\n',
      D: '${B}',
      E: 'plain',
      F: 'x',
    });
    expect(project.warnings).toEqual(['The variable NOWHERE is not set; it is empty.']);
  });

  it.each(['$', '${', '${}', '${A', '${A!b}', '${A:', '$1'])('"%s" is a mistake', (text) => {
    expect(folder.refusal(`services:\n  a:\n    image: '${text}'\n`)).toMatch(/^compose\.yaml:3:12: /);
  });
});

describe('the project', () => {
  it('is found in the folders above, and is called as the folder', () => {
    write('docker-compose.yml', 'services: { a: { image: b } }\n');
    mkdirSync(join(folder.dir(), 'deep/er'), { recursive: true });
    const { name, dir: found } = loadProject({
      file: undefined,
      projectName: undefined,
      cwd: join(folder.dir(), 'deep/er'),
      env: {},
    });
    expect([name, found]).toEqual([projectNameOf(basename(folder.dir())), folder.dir()]);
    expect(projectNameOf('_My App (2)')).toBe('myapp2');
  });

  it('the name: flag, COMPOSE_PROJECT_NAME, file, folder, in this order', () => {
    write('compose.yaml', 'name: from-file\nservices: { a: { image: b } }\n');
    const named = (projectName?: string, env = {}) =>
      loadProject({ file: undefined, projectName, cwd: folder.dir(), env }).name;
    expect(named('flag', { COMPOSE_PROJECT_NAME: 'env' })).toBe('flag');
    expect(named(undefined, { COMPOSE_PROJECT_NAME: 'env' })).toBe('env');
    expect(named()).toBe('from-file');
  });

  it('no file is told with the name it should have; an override file is not read and told', () => {
    expect(() => loadProject({ file: undefined, projectName: undefined, cwd: folder.dir(), env: {} })).toThrow(
      /no compose file in/,
    );
    write('compose.override.yaml', '');
    expect(load('services: { a: { image: b } }\n').warnings).toEqual([
      expect.stringContaining('compose.override.yaml is not read'),
    ]);
  });

  it('external and renamed volumes keep their names', () => {
    const { services } = load(
      'services:\n  a: { image: b, volumes: ["x:/x", "y:/y", "z:/z"] }\nvolumes:\n  x: { external: true }\n  y: { name: mine }\n  z:\n',
    );
    expect(services.get('a')!.settings.mounts!.map(({ volume }) => volume)).toEqual(['x', 'mine', 'shop_z']);
  });
});

const TWO =
  'services:\n  web: { image: w, depends_on: [db], environment: { A: "1", B: "2" } }\n  db: { image: d }\n  job: { image: j }\n';

test('the same service has the same hash, whatever the order of its keys; another setting another one', () => {
  const hash = (text: string) => {
    const project = load(text);
    return requestOf(project, project.services.get('web')!).labels![LABELS.hash];
  };
  const first = hash(TWO);
  expect(first).toMatch(/^[0-9a-f]{64}$/);
  expect(hash(TWO.replace('A: "1", B: "2"', 'B: "2", A: "1"'))).toBe(first);
  expect(hash(TWO.replace('B: "2"', 'B: "3"'))).not.toBe(first);
  // When it is started is no setting of the container.
  expect(hash(TWO.replace('depends_on: [db]', 'depends_on: [job]'))).toBe(first);
});

test('named services come with all they depend on', () => {
  const { services } = load(TWO);
  expect([...withDependencies(services, ['web']).keys()]).toEqual(['web', 'db']);
  expect(withDependencies(services, []).size).toBe(3);
});

test('containers are stopped before those they depend on, by their labels alone', () => {
  const container = (service: string, dependsOn: string) =>
    aContainer({
      name: service,
      labels: { [LABELS.project]: 'shop', [LABELS.service]: service, [LABELS.dependsOn]: dependsOn },
    });
  const all = [container('db', ''), container('web', 'api,db'), container('api', 'db'), aContainer({ name: 'other' })];
  expect(stopOrder(containersOf('shop', all)).map(({ service }) => service)).toEqual(['web', 'api', 'db']);
  expect(stopOrder(containersOf('shop', [container('a', 'b'), container('b', 'a')]))).toHaveLength(2);
});
