import { defineConfig } from 'vitest/config';

/** unit: no server, no kernel feature. integration: real Redis and files. sandbox: real engine. e2e: the whole platform. */
const project = (name: string, include: string[], extra: object = {}) => ({
  test: { name, include, testTimeout: 60_000, hookTimeout: 180_000, ...extra },
});

export default defineConfig({
  test: {
    projects: [
      project('unit', ['test/unit/**/*.test.ts']),
      project('integration', ['test/integration/**/*.test.ts']),
      project('sandbox', ['test/sandbox/**/*.test.ts', 'test/hostile/**/*.test.ts'], { fileParallelism: false }),
      project('e2e', ['test/e2e/**/*.test.ts', 'test/faults/**/*.test.ts'], { fileParallelism: false }),
    ],
  },
});
