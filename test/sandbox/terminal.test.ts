/** Terminals of containers: a pty of the sandbox's own, its size, its signals, its end. */
import type { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Sandbox, SandboxProgram, SandboxSpec } from '../../runtime/sandbox/index.ts';
import { until } from '../helpers/until.ts';
import { collect, containerLab, ENV } from './container-lab.ts';

const lab = containerLab('terminal');
const terminal = { rows: 24, columns: 80 };

function screen(program: Pick<Sandbox | SandboxProgram, 'onOutput' | 'stdin'>) {
  const said = collect();
  program.onOutput(said.listener);
  return {
    text: said.out,
    other: said.err,
    type: (text: string) => void (program.stdin as Writable).write(text),
    shows: (what: RegExp) => until(`the screen shows ${what}`, () => Promise.resolve(what.test(said.out()))),
  };
}

/** A shell without prompt and echo, so that the screen has only what programs say. */
async function shell(spec: Partial<SandboxSpec> = {}) {
  const sandbox = await lab.create(['sh', '-c', 'stty -echo; echo ready; exec sh'], {
    terminal,
    env: { ...ENV, PS1: '' },
    ...spec,
  });
  const view = screen(sandbox);
  await view.shows(/ready/);
  return { sandbox, ...view };
}

describe('a terminal', () => {
  it('is the controlling terminal of the first program, with its size, and one stream', async () => {
    const script = 'tty; stty size; ls -l "$(tty)"; echo oops >&2; test -t 0 && test -t 1 && test -t 2 && echo all';
    const sandbox = await lab.create(['sh', '-c', script], { terminal });
    const view = screen(sandbox);
    expect(await sandbox.exited).toMatchObject({ status: 0, signal: null });
    expect(view.text()).toMatch(/^\/dev\/pts\/0\r\n24 80\r\ncrw--w---- 1 root /);
    expect(view.text()).toMatch(/oops\r\nall\r\n$/);
    expect(view.other()).toBe('');
  });

  it('is what /dev/tty is, for who has one', async () => {
    const script = 'echo asked > /dev/tty; read -r line < /dev/tty; echo "got $line"';
    const sandbox = await lab.create(['sh', '-c', script], { terminal });
    const view = screen(sandbox);
    view.type('word\n');
    await sandbox.exited;
    expect(view.text()).toMatch(/asked\r\n[\s\S]*got word/);
    const without = await lab.create(['sh', '-c', 'echo x > /dev/tty']);
    expect(await without.exited).toMatchObject({ status: 2 });
  });

  it('changes its size, and tells the program', async () => {
    const { sandbox, type, shows } = await shell();
    type('trap "echo winch; stty size" WINCH; echo set\n');
    await shows(/set/);
    await sandbox.resize({ rows: 50, columns: 132 });
    type('\n');
    await shows(/winch\r\n50 132/);
  });

  it('ends the foreground program at ^C, and not the shell', async () => {
    const { sandbox, type, shows } = await shell();
    type('sleep 600\n');
    await until('it sleeps', async () => (await sandbox.processes()).some(({ command }) => command === 'sleep 600'));
    type('\x03');
    type('echo "rc $?"\n');
    await shows(/rc 130/);
  });

  it('ends a reader at ^D', async () => {
    const { sandbox, type, shows } = await shell();
    type('cat; echo "cat $?"\n');
    type('line\n\x04');
    await shows(/line\r\ncat 0/);
    type('\x04');
    expect(await sandbox.exited).toMatchObject({ status: 0 });
  });

  it('turns the end of stdin into ^D, also after half a line', async () => {
    const sandbox = await lab.create(['cat'], { terminal });
    screen(sandbox);
    (sandbox.stdin as Writable).end('half');
    expect(await sandbox.exited).toMatchObject({ status: 0 });
  });

  it('belongs to a program that was started later and to its user, too', async () => {
    const sandbox = await lab.create();
    const program = await sandbox.start(['sh', '-c', 'tty; stat -c %u "$(tty)"; stty size; read -r x; stty size'], {
      env: ENV,
      terminal: { rows: 1, columns: 2 },
      user: { uid: 33, gid: 33, groups: [] },
    });
    const { shows, type } = screen(program);
    await shows(/^\/dev\/pts\/0\r\n33\r\n1 2\r\n/);
    await program.resize({ rows: 3, columns: 4 });
    type('\n');
    expect(await program.exited).toEqual({ status: 0, signal: null });
    await shows(/3 4\r\n$/);
  });

  it('hangs up on what a program left behind when it ends', async () => {
    const sandbox = await lab.create();
    const program = await sandbox.start(['sh', '-c', 'sleep 600 & echo started'], { env: ENV, terminal });
    screen(program);
    expect(await program.exited).toEqual({ status: 0, signal: null });
    await until('the sleeper is gone', async () => (await sandbox.stats()).processes === 1);
  });

  it('says that a program without one has none', async () => {
    const sandbox = await lab.create(['sleep', '600']);
    await expect(sandbox.resize(terminal)).rejects.toMatchObject({ code: 'bad_request' });
  });

  it('may be flooded: the program waits, and everybody else goes on', async () => {
    const sandbox = await lab.create(['sh', '-c', 'yes 0123456789012345678901234567890123456789'], { terminal });
    let release: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    sandbox.onOutput(() => gate);
    (sandbox.stdin as Writable).write('x'.repeat(100_000));
    const before = await lab.sh(sandbox, 'cat /proc/2/stat');
    expect(before).toContain('(');
    const other = await lab.run(['echo', 'fine']);
    expect(other.out).toBe('fine\n');
    release(); // the end of a sandbox is told after its output
    await sandbox.destroy();
  });

  it('can not be typed into by a program', async () => {
    const script = 'my $c = "x"; ioctl(STDIN, 0x5412, $c) or print "errno ", $! + 0, "\\n"'; // TIOCSTI
    const sandbox = await lab.create(['perl', '-e', script], { terminal });
    const view = screen(sandbox);
    await sandbox.exited;
    expect(view.text()).toBe('errno 1\r\n');
  });
});
