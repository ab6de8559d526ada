import { defineConfig } from 'vitest/config';

/**
 * unit: no server, no kernel feature. integration: real Redis and files. sandbox: the real
 * engine. e2e: the whole platform. Later groups start when the earlier ones have ended.
 * Time-outs only end what hangs: wide enough for a machine that is 20 times slower. The first
 * start of the platform makes the base images.
 */
const project = (groupOrder: number, name: string, include: string[], extra: object = {}) => ({
  test: { name, include, testTimeout: 600_000, hookTimeout: 3_600_000, sequence: { groupOrder }, ...extra },
});
/**
 * Files share a process: to start one and load the modules costs more than most files run. So a helper
 * must not register hooks when it is loaded, only when a file calls it.
 */
const shared = { isolate: false };
/**
 * Most of their time is waiting: two side by side also where there are two processors. The other file may
 * run engines and platforms of the same user at any time, so nothing is asserted of the whole machine.
 */
const inPairs = { maxWorkers: 2, ...shared };

export default defineConfig({
  test: {
    projects: [
      project(1, 'unit', ['test/unit/**/*.test.ts'], inPairs),
      project(2, 'integration', ['test/integration/**/*.test.ts'], inPairs),
      project(3, 'sandbox', ['test/sandbox/**/*.test.ts', 'test/hostile/**/*.test.ts'], inPairs),
      project(4, 'e2e', ['test/e2e/**/*.test.ts', 'test/faults/**/*.test.ts'], inPairs),
    ],
  },
});
