/** Sessions: attach and exec over WebSockets, with real programs inside, and clients that behave badly. */
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContainerLab, openContainerLab, openTestSession, SLEEP, sh } from '../../helpers/containers.ts';
import { until } from '../../helpers/until.ts';

let lab: ContainerLab;
beforeAll(async () => {
  lab = await openContainerLab();
});
afterAll(() => lab.close());

const sessionWith = (path: string, options?: Parameters<typeof openTestSession>[2]) =>
  openTestSession(lab, path, options);

async function execSession(id: string, config: object) {
  const session = await sessionWith(`${id}/exec`);
  session.sendText(JSON.stringify(config));
  return session;
}

describe('attach', () => {
  it('before the start has everything from the first byte, input too, and the exit code', async () => {
    const { id } = await lab.create({ command: sh('echo begin; cat; echo err >&2; exit 4'), stdin: true });
    const session = await sessionWith(`${id}/attach`);
    await lab.post(`${id}/start`);
    await session.until('begin');
    session.stdin('some\n');
    session.stdin('lines\n');
    await session.until('lines\n');
    session.endStdin();
    expect(await session.end).toEqual({ exitCode: 4 });
    expect([session.stdout(), session.stderr()]).toEqual(['begin\nsome\nlines\n', 'err\n']);
    expect(await session.closed).toBe(1000);
  });

  it('several hear the same; each sends; leaving ends nothing', async () => {
    const { id } = await lab.start({ command: ['cat'], stdin: true });
    const [one, two] = await Promise.all([sessionWith(`${id}/attach`), sessionWith(`${id}/attach`)]);
    one.stdin('from one\n');
    await Promise.all([one.until('from one'), two.until('from one')]);
    one.socket.close();
    await one.closed;
    two.stdin('from two\n');
    await two.until('from two');
    expect((await lab.inspect(id)).status).toBe('running');
    two.endStdin();
    expect(await two.end).toEqual({ exitCode: 0 });
  });

  it('with the log has what was said before, then what is said, each once', async () => {
    const { id } = await lab.start({
      command: sh('i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo "n $i"; sleep 0.005; done; printf end'),
    });
    await until('some is in the log', async () => (await lab.logs(id)).length > 20);
    const session = await sessionWith(`${id}/attach?logs=true`);
    await session.end;
    const expected = Array.from({ length: 200 }, (_, at) => `n ${at + 1}\n`).join('');
    expect(session.stdout()).toBe(`${expected}end`);
  });

  it('to a terminal has its size, and its changes', async () => {
    const { id } = await lab.create({
      command: sh('stty size; trap "stty size" WINCH; echo ready; while :; do sleep 0.05; done'),
      terminal: true,
      stdin: true,
    });
    const session = await sessionWith(`${id}/attach?rows=33&columns=77`);
    await lab.post(`${id}/start`);
    await session.until('ready');
    expect(session.stdout()).toContain('33 77');
    session.send(4, JSON.stringify({ rows: 40, columns: 100 }));
    await session.until('40 100');
    session.stdin('\u0003');
    expect(await session.end).toEqual({ exitCode: 130 });
  });

  it('that never reads holds the program back, then loses its session; others go on', async () => {
    const { id } = await lab.start({
      command: sh('read go; head -c 20000000 /dev/zero | tr "\\0" x; echo; echo done; cat'),
      stdin: true,
    });
    const deaf = await sessionWith(`${id}/attach`, { isPaused: true });
    const hearing = await sessionWith(`${id}/attach`);
    hearing.stdin('go\n');
    await until('the program is held back', async () => {
      const before = hearing.stdout().length;
      await new Promise((resolve) => setTimeout(resolve, 500));
      return before > 0 && hearing.stdout().length === before;
    });
    expect(hearing.stdout().length).toBeLessThan(20_000_000);
    // The limits of the API say for how long.
    await hearing.until('done');
    expect(hearing.stdout().length).toBe(20_000_000 + '\ndone\n'.length);
    deaf.socket.resume();
    await deaf.closed;
    expect(deaf.stdout().length).toBeLessThan(20_000_000);
  });
});

describe('exec', () => {
  it('runs beside, with its own env, place, user and input', async () => {
    const { id } = await lab.start({ command: SLEEP, env: { A: 'container', B: 'kept' } });
    const session = await execSession(id, {
      argv: sh('echo "$A $B"; pwd; id -u; cat; exit 6'),
      env: { A: 'exec' },
      workingDir: '/tmp',
      user: '5:6',
      stdin: true,
    });
    session.stdin('input');
    session.endStdin();
    expect(await session.end).toEqual({ exitCode: 6 });
    expect(session.stdout()).toBe('exec kept\n/tmp\n5\ninput');
    expect((await lab.inspect(id)).status).toBe('running');
  });

  it('has a terminal of its own', async () => {
    const { id } = await lab.start({ command: SLEEP });
    const session = await execSession(id, {
      argv: sh('tty; stty size; read x; echo "got $x"'),
      stdin: true,
      terminal: { rows: 11, columns: 22 },
    });
    await session.until('11 22');
    session.stdin('abc\r');
    expect(await session.end).toEqual({ exitCode: 0 });
    expect(session.stdout()).toMatch(/\/dev\/(pts\/\d+|console)/);
    expect(session.stdout()).toContain('got abc');
  });

  it('of what is not there ends with the problem', async () => {
    const { id } = await lab.start({ command: SLEEP });
    const session = await execSession(id, { argv: ['/no/such'] });
    expect(await session.end).toMatchObject({ problem: { code: 'container_start_failed' } });
    const nobody = await execSession(id, { argv: ['true'], user: 'no-such-user' });
    expect(await nobody.end).toMatchObject({ problem: { code: 'invalid_request' } });
  });

  it('without a WebSocket prints lines, and at the end how it ended', async () => {
    const { id } = await lab.start({ command: SLEEP });
    const response = await lab.post(`${id}/exec`, { argv: sh('cat; echo err >&2; exit 3'), input: 'ä' });
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    const events = (await response.text())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.at(-1)).toEqual({ type: 'exit', exitCode: 3 });
    expect(events).toContainEqual({ type: 'output', stream: 'stdout', text: 'ä' });
    expect(events).toContainEqual({ type: 'output', stream: 'stderr', text: 'err\n' });
  });
});

describe('a client', () => {
  it('with a wrong key, from another web page, or without the protocol gets no session', async () => {
    const { id } = await lab.create({ command: SLEEP });
    const open = (options: Parameters<typeof openTestSession>[2]) => sessionWith(`${id}/attach`, options);
    await expect(open({ headers: { authorization: 'Bearer wrong' } })).rejects.toThrow(/^401 .*unauthorized/);
    await expect(open({ headers: { origin: 'https://evil.example' } })).rejects.toThrow(/^403 .*forbidden/);
    await expect(open({ protocols: ['other'] })).rejects.toThrow(/^400 .*wafer\.session\.v1/);
    await expect(sessionWith('no-such-one/attach')).rejects.toThrow(/^404 .*container_not_found/);
    const same = await open({ headers: { origin: lab.platform().url } });
    same.socket.close();
    const plain = await lab.fetch(`/v1/containers/${id}/attach`);
    expect([plain.status, ((await plain.json()) as { code: string }).code]).toEqual([400, 'invalid_request']);
  });

  it('that breaks the protocol is told how, and the program goes on', async () => {
    const { id } = await lab.start({ command: ['cat'], stdin: true });
    const broken: [string, (session: Awaited<ReturnType<typeof sessionWith>>) => void][] = [
      ['text', (session) => session.sendText('hello')],
      ['unknown channel', (session) => session.send(9, 'x')],
      ['bad size', (session) => session.send(4, '{"rows":0,"columns":1e9}')],
      ['empty', (session) => session.socket.send(Buffer.alloc(0))],
    ];
    for (const [, breakIt] of broken) {
      const session = await sessionWith(`${id}/attach`);
      breakIt(session);
      expect(await session.end).toMatchObject({ problem: { code: 'invalid_request' } });
      expect(await session.closed).toBe(1008);
    }
    const huge = await sessionWith(`${id}/attach`);
    huge.socket.send(Buffer.alloc(2 * 1024 * 1024));
    expect(await huge.closed).toBe(1009);
    const first = await sessionWith(`${id}/exec`);
    first.sendText('{"argv":[]}');
    expect(await first.end).toMatchObject({ problem: { code: 'invalid_request' } });
    expect((await lab.inspect(id)).status).toBe('running');
  });

  it('that speaks faster than the program reads is held back, and loses nothing', async () => {
    const { id } = await lab.create({ command: sh('sleep 1; wc -c'), stdin: true });
    const session = await sessionWith(`${id}/attach`);
    await lab.post(`${id}/start`);
    const piece = 'z'.repeat(64 * 1024);
    for (let n = 0; n < 200; n += 1) session.stdin(piece);
    session.endStdin();
    expect(await session.end).toEqual({ exitCode: 0 });
    expect(session.stdout().trim()).toBe(String(200 * 64 * 1024));
  });

  it('that offers HTTP/2 with its request has its body read as ever', async () => {
    const { hostname, port } = new URL(lab.platform().url);
    const body = JSON.stringify({ image: 'debian12', command: SLEEP, name: 'upgraded-h2c' });
    const headers = {
      authorization: `Bearer ${lab.platform().adminKey}`,
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      connection: 'Upgrade, HTTP2-Settings',
      upgrade: 'h2c',
      'http2-settings': 'AAMAAABkAARAAAAAAAIAAAAA',
    };
    const status = await new Promise<number>((resolve, reject) => {
      const call = request({ hostname, port, method: 'POST', path: '/v1/containers', headers }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      call.on('error', reject);
      call.end(body);
    });
    expect(status).toBe(201);
    await lab.fetch('/v1/containers/upgraded-h2c', { method: 'DELETE' });
  });

  it('that asks for a WebSocket elsewhere is answered as if it had not', async () => {
    const { hostname, port } = new URL(lab.platform().url);
    const socket = connect(Number(port), hostname);
    const lines = ['GET /healthz HTTP/1.1', 'Host: x', 'Connection: Upgrade, close', 'Upgrade: websocket'];
    socket.write(
      `${lines.join('\r\n')}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
    );
    let got = '';
    socket.on('data', (chunk: Buffer) => (got += chunk.toString()));
    await new Promise((resolve) => socket.once('close', resolve));
    expect(got).toMatch(/^HTTP\/1\.1 200 /);
  });
});
