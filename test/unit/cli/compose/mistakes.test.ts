// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are variables of compose files
/** Compose files that are refused, and why; YAML that is more than it seems. */
import { describe, expect, it } from 'vitest';
import { loadProject } from '../../../../services/cli/compose/project.ts';
import { useComposeFolder } from './folder.ts';

const { dir, write, load, refusal } = useComposeFolder();

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
      expect(() => loadProject({ file: undefined, projectName: undefined, cwd: dir(), env: {} })).toThrow(
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
