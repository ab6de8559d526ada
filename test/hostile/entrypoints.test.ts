/** Programs that can not be started, and directories that are not where they say: one clear reason, nothing left. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Lab, openLab } from './lab.ts';

let lab: Lab;
let layer: string;
beforeAll(async () => {
  lab = await openLab('files');
  layer = await lab.unpack({
    'function/not-executable': { content: '#!/bin/sh\necho ran\n', mode: 0o644 },
    'function/no-interpreter': { content: '#!/no/such/interpreter\n', mode: 0o755 },
    'function/loop': { content: '#!/function/loop\n', mode: 0o755 },
    'function/windows-lines': { content: '#!/bin/sh\r\necho ran\r\n', mode: 0o755 },
    'function/empty': { content: '', mode: 0o755 },
    'function/text': { content: 'echo ran\n', mode: 0o755 },
    'function/other-machine': { content: elfOfAnotherMachine(), mode: 0o755 },
    'function/cut': { content: Buffer.from('7f454c4602010100', 'hex'), mode: 0o755 },
    'function/directory/file': { content: '', mode: 0o644 },
    'function/outside': { linkname: '/proc/1/root' },
    'function/self': { linkname: 'self' },
  });
});
afterAll(() => lab?.close());

/** A whole header: 64-bit, of a SPARC. */
function elfOfAnotherMachine(): Buffer {
  const header = Buffer.alloc(64);
  Buffer.from('7f454c46020201', 'hex').copy(header);
  header.writeUInt16BE(2, 16);
  header.writeUInt16BE(43, 18);
  return header;
}

const start = (argv: string[], cwd?: string) =>
  lab.run([], { argv, codeLayers: [layer], ...(cwd === undefined ? {} : { cwd }) });

describe('a program', () => {
  it.each([
    ['/function/missing', /missing: No such file/],
    ['missing-in-path', /missing-in-path: No such file/],
    ['/function/not-executable', /Permission denied/],
    ['/function/directory', /Permission denied/],
    ['/function/no-interpreter', /interpreter or loader does not exist/],
    ['/function/windows-lines', /interpreter or loader does not exist/],
    ['/function/loop', /Too many levels|not a program/],
    ['/function/empty', /not a program of this machine/],
    ['/function/text', /not a program of this machine/],
    ['/function/other-machine', /not a program of this machine/],
    ['/function/cut', /not a program of this machine/],
    ['/function/self', /Too many levels/],
  ])('%j is refused with its reason', async (program, reason) => {
    await expect(start([program])).rejects.toMatchObject({
      name: 'SandboxError',
      code: 'exec_failed',
      message: expect.stringMatching(reason),
    });
  });
  it('gets no path of the host in the reason', async () => {
    const error = await start(['/function/missing']).catch((thrown: Error) => thrown);
    expect(String((error as Error).message)).not.toMatch(/var\/lib|\/work|store|layers/);
  });
});

describe('a working directory', () => {
  it.each(['/no/such', '/function/text', '/proc/1/root', '/function/outside', '/proc/self/fd/7', 'proc/self/fd/16'])(
    '%s is refused',
    async (cwd) => {
      await expect(start(['pwd'], cwd)).rejects.toMatchObject({ name: 'SandboxError' });
    },
  );
  it('that climbs stays in the root', async () => {
    expect((await start(['pwd'], '/../../../../tmp/..')).out).toBe('/\n');
    expect((await start(['ls', '/..'], '/function')).out).not.toMatch(/work|home\/\w/);
  });
});

describe('a code layer', () => {
  it('whose directory `function` is a link is refused, wherever the link leads', async () => {
    for (const linkname of ['real', '/etc', '../../..', '/proc/self/root']) {
      const evil = await lab.unpack({ 'real/file': { content: 'x', mode: 0o644 }, function: { linkname } });
      await expect(lab.run([], { argv: ['ls', '/function'], codeLayers: [evil] }), linkname).rejects.toThrow(
        /has no directory `function`/,
      );
    }
  });
});

it('the next program runs and the host has what it had', async () => {
  expect(await lab.checkRest()).toEqual({ next: 'fine\n', host: lab.before });
});
