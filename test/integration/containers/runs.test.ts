/** Containers through the HTTP API: made, run, stopped, looked at, removed; real sandboxes of a base image. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContainerLab, openContainerLab } from '../../helpers/containers.ts';

let lab: ContainerLab;
beforeAll(async () => {
  lab = await openContainerLab();
});
afterAll(() => lab.close());

describe('a run', () => {
  it('prints, ends with the exit code of its program, and its log stays', async () => {
    const made = await lab.create({ command: ['sh', '-c', 'echo out; echo err >&2; exit 3'] });
    expect([made.status, made.exitCode]).toEqual(['created', null]);
    await lab.post(`${made.id}/start`);
    expect(await lab.wait(made.id)).toBe(3);
    const after = await lab.inspect(made.id);
    expect([after.status, after.exitCode, after.error, after.pid]).toEqual(['exited', 3, null, null]);
    const lines = await lab.logs(made.id);
    expect(lines.map(({ stream, text }) => `${stream} ${text}`).sort()).toEqual(['stderr err', 'stdout out']);
  });
});
