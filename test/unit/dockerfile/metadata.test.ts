// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the syntax under test
/** Instructions that only change the config, as a table; users and groups; trees with links. */
import { describe, expect, it } from 'vitest';
import { ownerIds, processIds } from '../../../services/core/images/dockerfile/accounts.ts';
import { createFileTree, FOLDER } from '../../../services/core/images/dockerfile/file-tree.ts';
import { applyMetadata, type MetadataState } from '../../../services/core/images/dockerfile/metadata.ts';
import { parseDockerfile } from '../../../services/core/images/dockerfile/parse.ts';

const EMPTY: MetadataState = { config: {}, author: undefined, hasOwnCmd: false };
function apply(text: string, start: MetadataState = EMPTY): MetadataState {
  const { stages } = parseDockerfile(Buffer.from(`FROM a\n${text}`), 'Dockerfile');
  const scope = (name: string) => ({ V: 'v', P: '80 81' })[name];
  return (stages[0]?.instructions ?? []).reduce(
    (state, instruction) => applyMetadata(state, { instruction, scope, mark: '\\' }),
    start,
  );
}

describe('applyMetadata', () => {
  it.each([
    ['ENV A=1 B="x $V"\nENV A=2', { Env: ['A=2', 'B=x v'] }],
    ['ENV A one two', { Env: ['A=one two'] }],
    ['LABEL a.b=c "d e"=\'f\'', { Labels: { 'a.b': 'c', 'd e': 'f' } }],
    ['CMD echo $V', { Cmd: ['/bin/sh', '-c', 'echo $V'] }],
    ['SHELL ["/bin/bash", "-c"]\nCMD x', { Shell: ['/bin/bash', '-c'], Cmd: ['/bin/bash', '-c', 'x'] }],
    ['CMD a\nENTRYPOINT ["b"]', { Cmd: ['/bin/sh', '-c', 'a'], Entrypoint: ['b'] }],
    ['EXPOSE 80 443/tcp 53/udp', { ExposedPorts: { '80/tcp': {}, '443/tcp': {}, '53/udp': {} } }],
    ['EXPOSE $P 90-91', { ExposedPorts: { '80/tcp': {}, '81/tcp': {}, '90/tcp': {}, '91/tcp': {} } }],
    ['VOLUME /a /b', { Volumes: { '/a': {}, '/b': {} } }],
    ['VOLUME ["/a b"]', { Volumes: { '/a b': {} } }],
    ['STOPSIGNAL SIGTERM', { StopSignal: 'SIGTERM' }],
    ['USER $V:1000', { User: 'v:1000' }],
    ['WORKDIR /a\nWORKDIR b/../c', { WorkingDir: '/a/c' }],
    ['WORKDIR ../../x', { WorkingDir: '/x' }],
    ['ONBUILD RUN x\nONBUILD COPY . /y', { OnBuild: ['RUN x', 'COPY . /y'] }],
    ['HEALTHCHECK NONE', { Healthcheck: { Test: ['NONE'] } }],
    [
      'HEALTHCHECK --interval=1m30s --retries=3 CMD curl x',
      { Healthcheck: { Test: ['CMD-SHELL', 'curl x'], Interval: 90_000_000_000, Retries: 3 } },
    ],
    ['HEALTHCHECK CMD ["a", "b"]', { Healthcheck: { Test: ['CMD', 'a', 'b'] } }],
  ])('%j', (text, config) => {
    expect(apply(text).config).toEqual(config);
  });

  it('forgets the CMD of the base with a new ENTRYPOINT', () => {
    expect(apply('ENTRYPOINT ["b"]', { ...EMPTY, config: { Cmd: ['old'] } }).config).toEqual({ Entrypoint: ['b'] });
  });

  it('notes the maintainer', () => {
    expect(apply('MAINTAINER A <a@b>').author).toBe('A <a@b>');
  });

  it.each([
    'EXPOSE 0',
    'EXPOSE 70000',
    'EXPOSE 9-8',
    'EXPOSE x',
    'STOPSIGNAL SIGNOPE!',
    'STOPSIGNAL 99',
    'SHELL /bin/sh',
    'SHELL []',
    'HEALTHCHECK x',
    'HEALTHCHECK NONE x',
    'HEALTHCHECK --interval=soon CMD x',
    'HEALTHCHECK --retries=-1 CMD x',
    'USER a b',
    'VOLUME [""]',
    'ENV A',
    'LABEL a',
    'ENV A=${V%x}',
  ])('refuses %s with its place', (text) => {
    expect(() => apply(text)).toThrow('Dockerfile:2:1: ');
  });
});

describe('users and groups', () => {
  const files = {
    passwd: 'root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n',
    group: 'root:x:0:\nwww:x:34:\nextra:x:40:web,other\n',
  };
  it.each([
    ['web', { uid: 33, gid: 34, groups: [40] }],
    ['33', { uid: 33, gid: 34, groups: [40] }],
    ['web:extra', { uid: 33, gid: 40, groups: [] }],
    ['1000', { uid: 1000, gid: 0, groups: [] }],
    ['1000:1001', { uid: 1000, gid: 1001, groups: [] }],
  ])('a process of %s', (spec, expected) => {
    expect(processIds(spec, files)).toEqual(expected);
  });
  it.each([
    ['web', { uid: 33, gid: 34 }],
    ['1000', { uid: 1000, gid: 1000 }],
    ['web:extra', { uid: 33, gid: 40 }],
    ['5:6', { uid: 5, gid: 6 }],
  ])('files of %s', (spec, expected) => {
    expect(ownerIds(spec, files)).toEqual(expected);
  });
  it.each(['nobody', 'web:nogroup', '99999999999'])('refuses %s', (spec) => {
    expect(() => processIds(spec, files)).toThrow('the image has no');
  });
});

describe('file trees', () => {
  const tree = createFileTree();
  const link = (path: string, target: string) => tree.set(path, { ...FOLDER, kind: 'symlink', target });
  tree.set('usr/lib', FOLDER);
  link('lib', 'usr/lib');
  link('abs', '/usr');
  link('up', '../../../usr');
  link('loop', 'loop2');
  link('loop2', 'loop');
  it.each([
    ['lib/x', 'usr/lib/x'],
    ['abs/lib', 'usr/lib'],
    ['up/lib', 'usr/lib'],
    ['not/there', 'not/there'],
    ['usr/../lib', 'usr/lib'],
    ['loop/x', null],
  ])('%s leads to %s', (path, expected) => {
    expect(tree.resolve(path)).toBe(expected);
  });
});
