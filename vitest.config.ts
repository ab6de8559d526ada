import { defineConfig } from 'vitest/config';

/**
 * unit: no server, no kernel feature. integration: real Redis and files. sandbox: the real
 * engine. e2e: the whole platform. Later groups start when the earlier ones have ended.
 *
 * Files run two side by side, also where there are two processors: most of their time is waiting. The
 * other file may run engines and platforms of the same user, so nothing is asserted of the whole machine.
 * They share a process with the files before: to start one and load the modules costs more than most files
 * run. So a helper must not register hooks when it is loaded, only when a file calls it.
 *
 * Time-outs only end what hangs: wide enough for a machine that is 20 times slower. The first
 * start of the platform makes the base images.
 */
const project = (groupOrder: number, name: string, ...folders: string[]) => ({
  test: {
    name,
    include: folders.map((folder) => `test/${folder}/**/*.test.ts`),
    maxWorkers: 2,
    isolate: false,
    sequence: { groupOrder },
    testTimeout: 600_000,
    hookTimeout: 3_600_000,
  },
});

export default defineConfig({
  test: {
    projects: [
      project(1, 'unit', 'unit'),
      project(2, 'integration', 'integration'),
      project(3, 'sandbox', 'sandbox', 'hostile'),
      project(4, 'e2e', 'e2e', 'faults'),
    ],
  },
});
