// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are variables of compose files
/** Compose files: what is understood, and where and why something is not. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { startOrder, withDependencies } from '../../../../services/cli/compose/depends-on.ts';
import { containersOf, LABELS, requestOf, stopOrder } from '../../../../services/cli/compose/labels.ts';
import { loadProject, projectNameOf } from '../../../../services/cli/compose/project.ts';
import type { ComposeProject } from '../../../../services/cli/compose/types.ts';
import { aContainer } from '../containers.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-compose-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFileSync(join(dir, name), text);

function load(text: string, env: Record<string, string> = {}): ComposeProject {
  write('compose.yaml', text);
  return loadProject({ file: undefined, projectName: 'shop', cwd: dir, env });
}
/** The settings of the only service. */
function settings(lines: string, env: Record<string, string> = {}) {
  const { services } = load(
    `services:\n  web:\n    image: img\n${lines.replace(/^/gm, '    ')}\nvolumes:\n  data:\n`,
    env,
  );
  return services.get('web')!.settings;
}
const refusal = (text: string, env?: Record<string, string>): string => {
  try {
    load(text, env);
  } catch (error) {
    const { message, hint } = error as Error & { hint?: string };
    return hint === undefined ? message : `${message} (${hint})`;
  }
  throw new Error('it was taken');
};

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
    expect(services.get('a')!.build).toEqual({ context: join(dir, 'app'), args: {} });
    expect(services.get('b')!.build).toEqual({
      context: join(dir, 'app'),
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

describe('a mistake is told with file, line and column', () => {
  it.each([
    [
      'an unknown key, with the nearest',
      'services:\n  web:\n    image: a\n    comand: x\n',
      'compose.yaml:4:5: service web: "comand" is not supported. (Did you mean "command"?)',
    ],
    [
      'a known unsupported key, with the way',
      'services:\n  web:\n    image: a\n    privileged: true\n',
      /compose\.yaml:4:5: service web: "privileged" is not supported\. \(Containers have no privileges/,
    ],
    [
      'a top-level key',
      'networks: {}\nservices: { a: { image: b } }\n',
      /compose\.yaml:1:1: compose file: "networks" is not supported/,
    ],
    [
      'a key of a health check',
      'services:\n  a:\n    image: b\n    healthcheck:\n      test: x\n      start_interval: 1s\n',
      /6:7: healthcheck: "start_interval"/,
    ],
    ['broken YAML', 'services:\n  a: [\n', /^compose\.yaml:\d+:\d+: /],
    ['a key that is there twice', 'services:\n  a: { image: b }\n  a: { image: c }\n', /3:3: Map keys must be unique/],
    [
      'a folder of the host',
      'services:\n  a:\n    image: b\n    volumes:\n      - ./src:/app\n',
      /5:9: "volumes": "\.\/src" is a folder of the host.*wafer cp/,
    ],
    [
      'a bind mount',
      'services:\n  a:\n    image: b\n    volumes:\n      - type: bind\n        source: .\n        target: /x\n',
      /5:9: a folder of the host/,
    ],
    [
      'a volume that is not declared',
      'services:\n  a:\n    image: b\n    volumes: ["data:/x"]\n',
      /4:15: the volume "data" is not in the top-level/,
    ],
    [
      'a port of the world',
      'services:\n  a:\n    image: b\n    ports: ["0.0.0.0:80:80"]\n',
      /4:13: "ports": "0\.0\.0\.0" is not a loopback/,
    ],
    ['a service without image', 'services:\n  a: { command: x }\n', /2:3: service a has neither "image" nor "build"/],
    [
      'a service that is not there',
      'services:\n  a: { image: b, depends_on: [db] }\n',
      /2:31: "a" depends on "db", which is not in the file/,
    ],
    [
      'services that wait for each other',
      'services:\n  a: { image: x, depends_on: [b] }\n  b: { image: x, depends_on: [c] }\n  c: { image: x, depends_on: [a] }\n',
      /a → b → c → a/,
    ],
    ['a service that waits for itself', 'services:\n  a: { image: x, depends_on: [a] }\n', /a → a/],
    [
      'a wrong condition',
      'services:\n  a:\n    image: x\n    depends_on: { b: { condition: ready } }\n  b: { image: x }\n',
      /"ready" is not one of service_started/,
    ],
    ['a wrong kind', 'services:\n  a: { image: [x] }\n', /2:15: "image" takes a text, not a list/],
    ['a variable that is needed', 'services:\n  a:\n    image: ${TAG:?say which}\n', /3:12: TAG is needed: say which/],
    ['an open quote in a command', 'services:\n  a: { image: x, command: "say \'hi" }\n', /quote \('\) is not closed/],
    ['a remote context', 'services:\n  a: { build: "https://x.example/y.git" }\n', /not a folder of this machine/],
    ['no services', 'name: x\n', /there are no "services"/],
    ['no map', '- a\n', /is a map with "services"/],
    ['a wrong name', 'name: "Not This"\nservices: { a: { image: b } }\n', null],
  ])('%s', (_fact, text, message) => {
    if (message === null) {
      write('compose.yaml', text);
      expect(() => loadProject({ file: undefined, projectName: undefined, cwd: dir, env: {} })).toThrow(
        /compose\.yaml:1:7: "Not This" can not be/,
      );
    } else expect(refusal(text)).toMatch(message);
  });

  it('a line that is no assignment in .env is told with its file', () => {
    write('.env', 'A=1\nwhat is this\n');
    expect(refusal('services: { a: { image: b } }\n')).toMatch(/\.env:2: it is not NAME=value/);
  });
});

describe('YAML', () => {
  it('anchors and merge keys: what is written in the map wins', () => {
    const { services } = load(`
x-base: &base
  image: base
  environment: { A: "1" }
services:
  a:
    <<: *base
    image: own
  b:
    <<: [{ image: first }, *base]
`);
    expect(services.get('a')).toMatchObject({ image: 'own', settings: { env: { A: '1' } } });
    expect(services.get('b')).toMatchObject({ image: 'first', settings: { env: { A: '1' } } });
  });

  it('a bomb of aliases is refused at once', () => {
    const lines = Array.from({ length: 12 }, (_, level) => {
      const inner = level === 0 ? 'lol' : `*l${level - 1}`;
      return `x-${level}: &l${level} [${Array.from({ length: 10 }, () => inner).join(', ')}]`;
    });
    expect(refusal(`${lines.join('\n')}\nservices: { a: { image: b } }\n`)).toMatch(/more than 50000 values/);
  });

  it('an alias of itself, too much depth, and too large a file are refused', () => {
    expect(refusal('x-a: &a [*a]\nservices: { a: { image: b } }\n')).toMatch(/nested more than 40 deep/);
    expect(refusal(`x-a: ${'['.repeat(60)}${']'.repeat(60)}\n`)).toMatch(/nested more than 40 deep/);
    expect(refusal(`# ${'x'.repeat(1024 * 1024)}\n`)).toMatch(/larger than/);
    expect(refusal('services: { a: *none }\n')).toMatch(/none/);
  });
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
    expect(refusal(`services:\n  a:\n    image: '${text}'\n`)).toMatch(/^compose\.yaml:3:12: /);
  });
});

describe('the project', () => {
  it('is found in the folders above, and is called as the folder', () => {
    write('docker-compose.yml', 'services: { a: { image: b } }\n');
    mkdirSync(join(dir, 'deep/er'), { recursive: true });
    const { name, dir: found } = loadProject({
      file: undefined,
      projectName: undefined,
      cwd: join(dir, 'deep/er'),
      env: {},
    });
    expect([name, found]).toEqual([projectNameOf(basename(dir)), dir]);
    expect(projectNameOf('_My App (2)')).toBe('myapp2');
  });

  it('the name: flag, COMPOSE_PROJECT_NAME, file, folder, in this order', () => {
    write('compose.yaml', 'name: from-file\nservices: { a: { image: b } }\n');
    const named = (projectName?: string, env = {}) => loadProject({ file: undefined, projectName, cwd: dir, env }).name;
    expect(named('flag', { COMPOSE_PROJECT_NAME: 'env' })).toBe('flag');
    expect(named(undefined, { COMPOSE_PROJECT_NAME: 'env' })).toBe('env');
    expect(named()).toBe('from-file');
  });

  it('no file is told with the name it should have; an override file is not read and told', () => {
    expect(() => loadProject({ file: undefined, projectName: undefined, cwd: dir, env: {} })).toThrow(
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
