/** `wafer build` and POST /v1/images/build with the real engine: RUN, mounts, users, failures, the cache, and hostile steps. */
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { TEST_DATA } from '../helpers/test-data.ts';

let wafer: TestPlatform;
let dir: string;
beforeAll(async () => {
  wafer = await startTestPlatform();
  dir = await mkdtemp(join(tmpdir(), 'wafer-build-'));
});
afterAll(async () => {
  await wafer?.stop();
  await rm(dir, { recursive: true, force: true });
});

let nextContext = 1;
async function context(files: Record<string, string>): Promise<string> {
  const folder = join(dir, `c${nextContext++}`);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

const build = async (files: Record<string, string>, ...flags: string[]) =>
  wafer.wafer(['build', await context(files), ...flags]);

interface Built {
  digest: string;
  tags: string[];
  stepsRun: number;
  stepsCached: number;
}
/** A step that must print something: its output is in the log. */
async function ok(files: Record<string, string>, ...flags: string[]): Promise<{ log: string; image: Built }> {
  const result = await build(files, '--json', ...flags);
  expect(result.status, result.stderr).toBe(0);
  return { log: result.stderr, image: JSON.parse(result.stdout) as Built };
}

/** So that every run of the tests has steps of its own. */
const SALT = `salt-${process.pid}-${Date.now()}`;
const FROM = `FROM debian12\nENV SALT=${SALT}\n`;

describe('wafer build', () => {
  it('installs Debian packages with apt-get in a Dockerfile of several stages', async () => {
    const { log } = await ok(
      {
        'main.c': '#include <stdio.h>\nint main(void) { puts("compiled"); }\n',
        Dockerfile: `FROM debian12 AS build
ENV SALT=${SALT}
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY main.c /
RUN gcc -static -o /app /main.c
${FROM}COPY --from=build /app /usr/local/bin/app
RUN app && ! command -v gcc
`,
      },
      '-t',
      'apt-built',
    );
    expect(log).toContain('compiled');
  });

  it('reuses every step when nothing has changed, and only those above a change', async () => {
    const files = { Dockerfile: `${FROM}RUN echo first\nCOPY a.txt /\nRUN echo last\n`, 'a.txt': 'one' };
    const first = (await ok(files, '-t', 'cached')).image;
    expect(first).toMatchObject({ stepsRun: 3, stepsCached: 0 });
    expect((await ok(files, '-t', 'cached')).image).toMatchObject({
      stepsRun: 0,
      stepsCached: 3,
      digest: first.digest,
    });
    expect((await ok({ ...files, 'a.txt': 'two' }, '-t', 'cached')).image).toMatchObject({
      stepsRun: 2,
      stepsCached: 1,
    });
    expect((await ok(files, '-t', 'cached', '--no-cache')).image).toMatchObject({ stepsRun: 3, stepsCached: 0 });
  });

  it('runs a step again when something changes that it can see, and only then', async () => {
    const secret = join(dir, 'key-secret.txt');
    const parts = { env: '1', user: '0', shell: '"/bin/sh", "-c"', network: 'default', body: 'one' };
    const files = (change: Partial<typeof parts> = {}) => {
      const { env, user, shell, network, body } = { ...parts, ...change };
      const lines = [`ENV E=${env}`, 'ARG V=1', `USER ${user}`, `SHELL [${shell}]`];
      const run = `RUN --network=${network} --mount=type=secret,id=tok : ${SALT}`;
      return { Dockerfile: ['FROM debian12', ...lines, run, 'RUN <<EOF', `: ${body}`, 'EOF', ''].join('\n') };
    };
    const stepsRun = async (change: Partial<typeof parts>, ...flags: string[]) =>
      (await ok(files(change), '-t', 'keys', '--secret', `id=tok,src=${secret}`, ...flags)).image.stepsRun;
    await writeFile(secret, 'one');
    expect(await stepsRun({})).toBe(2);
    expect(await stepsRun({ body: 'two' })).toBe(1);
    for (const change of [{ env: '2' }, { user: '33' }, { shell: '"/bin/bash", "-c"' }, { network: 'none' }])
      expect([change, await stepsRun(change)]).toEqual([change, 2]);
    expect(await stepsRun({}, '--build-arg', 'V=2')).toBe(2);
    expect(await stepsRun({}, '--build-arg', 'OTHER=2')).toBe(0);
    expect(await stepsRun({}, '--build-arg', 'http_proxy=http://proxy.example:1')).toBe(0);
    await writeFile(secret, 'another');
    expect(await stepsRun({})).toBe(0);
  });

  it('gives the same image for the same SOURCE_DATE_EPOCH, step by step made again', async () => {
    const files = {
      Dockerfile: `${FROM}RUN date > /etc/made && mkdir /x && touch /x/y && rm /etc/made\nCOPY a /\n`,
      a: 'a',
    };
    const flags = ['--no-cache', '--build-arg', 'SOURCE_DATE_EPOCH=1700000000'];
    const first = await ok(files, '-t', 'same', ...flags);
    const second = await ok(files, '-t', 'same', ...flags);
    expect(second.image).toMatchObject({ digest: first.image.digest, stepsCached: 0 });
  });

  it('runs steps as the user, in the folder and with the variables of the Dockerfile, and nothing of the host', async () => {
    const { log } = await ok(
      {
        Dockerfile: `${FROM}ARG GIVEN=default
ENV E="a b"
RUN useradd -u 1501 -m -G audio someone
USER someone
WORKDIR /home/someone/in
RUN echo "id $(id -u):$(id -g):$(id -G) pwd $PWD home $HOME E $E GIVEN $GIVEN"; grep CapEff /proc/self/status; touch mine; stat -c 'owner %U' . mine; ! touch /etc/x
`,
      },
      '--build-arg',
      'GIVEN=arg',
    );
    expect(log).toContain('id 1501:1501:1501 29 pwd /home/someone/in home /home/someone E a b GIVEN arg');
    expect(log).toMatch(/CapEff:\s+0000000000000000/);
    expect(log.match(/owner someone/g)).toHaveLength(2);
  });

  it('runs heredocs: for the shell, for a command, and as a program of their own', async () => {
    const { log } = await ok({
      Dockerfile: `${FROM}RUN <<EOF
echo from-shell
echo "second line"
EOF
RUN cat <<-'EOF' > /f && cat /f
	no $EXPANSION
	EOF
RUN <<EOF
#!/usr/bin/perl
print "from-perl\\n";
EOF
ARG V=value
COPY <<EOF /c
"quoted" $V
EOF
RUN cat /c && ls -la /dev/shm
`,
    });
    for (const text of ['from-shell', 'second line', 'no $EXPANSION', 'from-perl', '"quoted" value'])
      expect(log).toContain(text);
  });

  it('keeps a cache mount between builds and out of the image; binds and secrets leave no trace (I33)', async () => {
    const secret = join(dir, 'secret.txt');
    await writeFile(secret, 'hunter2-of-the-test');
    const cache = `--mount=type=cache,id=${SALT},target=/var/cache/mine`;
    const dockerfile = (text: string) => `FROM debian12 AS other
RUN mkdir -p /o && echo from-other-stage > /o/f
FROM debian12
RUN ${cache} ls /var/cache/mine; echo ${text} >> /var/cache/mine/log; cat /var/cache/mine/log
RUN --mount=type=secret,id=tok --mount=type=secret,id=tok,env=TOK echo "secret $(wc -c < /run/secrets/tok) \${#TOK}"
RUN --mount=type=bind,source=data,target=/in --mount=type=bind,from=other,source=/o,target=/etc/apt/apt.conf.d cat /in/d.txt /etc/apt/apt.conf.d/*; touch /in/new
RUN --mount=type=tmpfs,target=/var/lib/dpkg test ! -e /var/lib/dpkg/status && touch /var/lib/dpkg/x
RUN ls -d /var/cache/mine /run/secrets /in 2>&1; ls /etc/apt/apt.conf.d; test -e /var/lib/dpkg/status; test ! -e /var/lib/dpkg/x; ! grep -r hunter2 /run /etc
`;
    const flags = ['-t', 'mounts', '--secret', `id=tok,src=${secret}`];
    const files = (text: string) => ({ Dockerfile: dockerfile(text), 'data/d.txt': 'from-context\n' });
    const first = await ok(files('one'), ...flags);
    expect(first.log).toContain('secret 19 19');
    expect(first.log).toContain('from-context');
    expect(first.log).toContain('from-other-stage');
    expect(first.log).not.toContain('hunter2');
    expect(first.log).toMatch(/cannot access '\/run\/secrets'/);
    expect(first.log).toMatch(/cannot access '\/in'/);
    const second = await ok(files('two'), ...flags);
    expect(second.log).toMatch(/one\n.*two/);
    const blobs = await wafer.wafer(['images', '--json']);
    expect(blobs.stdout).not.toContain('hunter2');
  });

  it('builds independent stages at the same time and leaves out what the target does not need', async () => {
    const { log } = await ok({
      Dockerfile: `FROM debian12 AS left
RUN echo ${SALT} && sleep 2 && echo left-done
FROM debian12 AS right
RUN echo ${SALT} right-begun
FROM debian12 AS never
RUN false
FROM left
COPY --from=right /etc/hostname /r
`,
    });
    expect(log.indexOf('right-begun')).toBeGreaterThan(0);
    expect(log.indexOf('right-begun')).toBeLessThan(log.indexOf('left-done'));
    expect(log).not.toContain('never');
  });

  it('says file, line, step and output of a failed step, and keeps the image up to the step before', async () => {
    const failed = await build({ Dockerfile: `${FROM}RUN echo kept > /kept\n\nRUN echo some-output; exit 7\n` });
    expect(failed.status).toBe(1);
    expect(failed.stderr).toContain('Dockerfile:5: ');
    expect(failed.stderr).toContain('exited with status 7');
    expect(failed.stderr).toContain('some-output');
    const kept = /build\/[0-9a-f]{12}/.exec(failed.stderr)?.[0] ?? '';
    const after = await ok({ Dockerfile: `FROM ${kept}\nRUN cat /kept\n` });
    expect(after.log).toContain('kept');
  });

  it('runs ONBUILD of the base, once', async () => {
    await ok({ Dockerfile: `${FROM}ONBUILD RUN echo triggered-${SALT}\n` }, '-t', 'with-triggers');
    const child = await ok({ Dockerfile: 'FROM with-triggers\nRUN echo own\n' }, '-t', 'child');
    expect(child.log).toContain(`triggered-${SALT}`);
    expect((await ok({ Dockerfile: 'FROM child\nRUN echo grandchild\n' })).log).not.toContain('triggered');
  });
});

describe('what a Dockerfile may not do (I28, I29, I30, I31, I32)', () => {
  it.each([
    ['RUN --security=insecure id', 'not allowed'],
    ['RUN --network=host id', 'not allowed'],
    ['RUN --device=/dev/kvm id', 'not allowed'],
    ['RUN --mount=type=bind,source=/,target=/x,rshared id', 'not supported'],
    ['RUN --mount=type=ssh id', 'not allowed'],
    ['RUN --mount=type=cache,target=/proc id', '/proc'],
    ['RUN --mount=type=bind,source=../..,target=/x id', 'leaves'],
    ['RUN --mount=type=tmpfs,target=/x,size=1g id', 'not supported'],
    ['COPY ../x /', 'leaves'],
    ['COPY nothing /', 'not in the build context'],
    ['COPY --from=later /x /', 'further down'],
    ['COPY --from=7 /x /', 'no stage'],
    ['COPY --from=no-such-image /x /', 'no image'],
    ['ADD http://169.254.169.254/latest /', 'not at a public address'],
    ['ADD https://example.com/x.git#ref:../.. /', 'is not cloned'],
    ['RUN mount -t tmpfs none /mnt', 'status'],
    ['RUN echo x > /etc/resolv.conf', 'status'],
    ['USER nobody-there\nRUN id', 'no user'],
    ['USER 70000\nRUN id', '70000'],
    ['RUN ["no-such-program"]', 'no-such-program'],
  ])('%s', async (text, reason) => {
    const dockerfile = `FROM debian12\n${text}\nFROM debian12 AS later\n`;
    const result = await build({ Dockerfile: dockerfile, a: 'a' }, '--target', '0');
    expect(result.status, result.stderr).not.toBe(0);
    expect(result.stderr).toContain('Dockerfile:');
    expect(result.stderr).toContain(reason);
  });

  it('I29: does not follow links of the context on the host', async () => {
    const host = join(dir, 'host-file');
    await writeFile(host, 'content-of-the-host');
    const folder = await context({ Dockerfile: `${FROM}COPY . /c\nRUN cat /c/link || readlink /c/link\n` });
    await symlink(host, join(folder, 'link'));
    const whole = await wafer.wafer(['build', folder]);
    expect(whole.stderr).toContain(host);
    expect(whole.stderr).not.toContain('content-of-the-host');
    await writeFile(join(folder, 'Dockerfile'), `${FROM}COPY link /c\n`);
    expect((await wafer.wafer(['build', folder])).stderr).toContain('not in the build context');
  });

  it('takes no name that belongs to the platform', async () => {
    for (const name of ['debian12', 'node24-tools', 'functions/x', 'build-cache/x', '../x']) {
      const result = await build({ Dockerfile: 'FROM debian12\n' }, '-t', name);
      expect(result.stderr, name).toMatch(/belongs to the platform|can not be the name/);
    }
  });

  it('leaves no sandbox and no upper behind', async () => {
    await build({ Dockerfile: `${FROM}RUN (sleep 1000 &) ; exit 3\n` });
    const left = await readdir(join(TEST_DATA, 'work'));
    expect(left.filter((name) => name.startsWith('build-'))).toEqual([]);
  });
});
