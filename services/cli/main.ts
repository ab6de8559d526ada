#!/usr/bin/env node
import { runCli } from './run.ts';
import { createUi } from './ui.ts';

// `wafer list | head -1` closes the pipe early: that is the reader's decision, not an error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 70);
  });
}

const ui = createUi(process.stdout, process.stderr, process.env);
process.exitCode = await runCli(process.argv.slice(2), { ui, env: process.env, cwd: process.cwd() });
// Output may still be on its way, but nothing that a command left open may keep the process.
setTimeout(() => process.exit(), 1000).unref();
