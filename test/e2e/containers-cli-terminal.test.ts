/** Containers by the real command line on a real terminal. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContainerCli, openContainerCli } from '../helpers/container-cli.ts';
import { until } from '../helpers/until.ts';

const IMAGE = 'debian12';
let lab: ContainerCli;

beforeAll(async () => {
  lab = await openContainerCli();
});

afterAll(async () => {
  await lab?.close();
});

const statusOf = async (name: string) => (await lab.inspect(name)).status;

describe('on a terminal', () => {
  it('run -it has a terminal of this size, follows its changes, and gives the terminal back', async () => {
    const screen = lab.pty('run', '-it', '--rm', IMAGE, 'sh');
    await screen.see('# ');
    screen.type('stty size; tty\n');
    await screen.see('24 80');
    await screen.see('/dev/pts/');
    screen.resize(40, 100);
    screen.type('while [ "$(stty size)" != "40 100" ]; do sleep 0.05; done; echo re""sized\n');
    await screen.see('resized');
    // ctrl-C goes to the program inside, and ends nothing here.
    screen.type('sleep 1000\n');
    await screen.see('sleep 1000');
    screen.type('\x03');
    screen.type('echo still""here; exit 5\n');
    await screen.see('stillhere');
    expect(await screen.ended).toEqual({ code: 5, echo: true, canonical: true, signals: true });
    // Line ends are the program's: the terminal here adds nothing.
    expect(screen.screen()).not.toContain('\r\r\n');
  });

  it('ctrl-p ctrl-q leaves it running; attach goes back', async () => {
    const first = lab.pty('run', '-it', '--name', 'shell', IMAGE, 'sh');
    await first.see('# ');
    first.type('X=kept\n');
    first.type('\x10\x11');
    expect(await first.ended).toMatchObject({ code: 0, echo: true, canonical: true });
    expect(first.screen()).toContain('wafer attach shell');
    expect(await statusOf('shell')).toBe('running');
    const second = lab.pty('attach', 'shell');
    await until('the shell answers', async () => {
      second.type('echo "<$X>"\n');
      return second.screen().includes('<kept>');
    });
    second.type('exit 3\n');
    expect(await second.ended).toMatchObject({ code: 3, echo: true });
    // A terminal is one stream, and the log has it.
    expect((await lab.ok('logs', 'shell')).stdout).toContain('<kept>');
    const again = lab.pty('start', '-a', '-i', 'shell');
    await again.see('# ');
    again.type('exit\n');
    expect(await again.ended).toMatchObject({ code: 0 });
    await lab.ok('rm', 'shell');
  });

  it('exec -it has a terminal of its own beside the main program', async () => {
    await lab.ok('run', '-d', '--name', 'host', IMAGE, 'sleep', '1000');
    const screen = lab.pty('exec', '-it', 'host', 'sh');
    await screen.see('# ');
    screen.type('tty; exit 6\n');
    await screen.see('/dev/pts/');
    expect(await screen.ended).toEqual({ code: 6, echo: true, canonical: true, signals: true });
    expect(await statusOf('host')).toBe('running');
    await lab.ok('rm', '-f', 'host');
  });

  it.each(['SIGTERM', 'SIGHUP'] as const)('%s gives the terminal back', async (name) => {
    const screen = lab.pty('run', '-it', '--rm', IMAGE, 'sh');
    await screen.see('# ');
    screen.signal(name);
    const end = await screen.ended;
    expect(end).toMatchObject({ echo: true, canonical: true, signals: true });
    expect(end.code).toBe(name === 'SIGTERM' ? 143 : 129);
  });

  it('a platform that goes away gives the terminal back, too, and it is told', async () => {
    const screen = lab.pty('run', '-it', '--name', 'lost', IMAGE, 'sh');
    await screen.see('# ');
    await lab.platform().kill();
    expect(await screen.ended).toEqual({ code: 125, echo: true, canonical: true, signals: true });
    expect(screen.screen()).toMatch(/connection .*was (?:lost|closed)/);
    await lab.restart();
    await lab.ok('rm', '-f', 'lost');
  });

  it('-it needs one', async () => {
    expect(await lab.cli('run', '-it', IMAGE, 'sh')).toMatchObject({
      status: 125,
      stderr: expect.stringContaining('not a terminal'),
    });
    expect((await lab.ok('ps', '-a', '--filter', 'status=created')).stdout).toContain('No container');
  });
});
