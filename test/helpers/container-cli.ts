/** The real command line against the real platform, with containers. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'vitest';
import type { Container } from '../../services/core/containers/types.ts';
import { CLI, ROOT } from './paths.ts';
import { type CliResult, startTestPlatform, type TestPlatform } from './platform.ts';
import { type Pty, startPty } from './pty.ts';

/** A CLI that goes on while the test does something else. */
export interface BackgroundCli {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<number | null>;
  stdout(): string;
  stderr(): string;
}

export interface ContainerCli {
  platform(): TestPlatform;
  /** For processes of the test's own. */
  env(): Record<string, string | undefined>;
  cli(...args: string[]): Promise<CliResult>;
  /** Fails the test when the exit code is not 0. */
  ok(...args: string[]): Promise<CliResult>;
  inspect(name: string): Promise<Container>;
  pty(...args: string[]): Pty;
  background(...args: string[]): BackgroundCli;
  /** Another platform on the same data; the one before has ended. */
  restart(settings?: Record<string, string>): Promise<void>;
  /** Removes every container. */
  close(): Promise<void>;
}

/** What a run that broke off left is removed first. */
export async function openContainerCli(): Promise<ContainerCli> {
  let platform = await startTestPlatform();
  const env = () => ({ ...process.env, NO_COLOR: '1', WAFER_URL: platform.url, WAFER_KEY: platform.key });
  const cli = (...args: string[]) => platform.wafer(args);
  const ok = async (...args: string[]) => {
    const result = await cli(...args);
    expect(result, `wafer ${args.join(' ')}: ${result.stderr}`).toMatchObject({ status: 0 });
    return result;
  };
  const removeAll = async () => {
    const ids = (await cli('ps', '-aq')).stdout.split('\n').filter(Boolean);
    if (ids.length > 0) await cli('rm', '-f', '--container', ...ids);
  };
  await removeAll();
  return {
    platform: () => platform,
    env,
    cli,
    ok,
    inspect: async (name) => JSON.parse((await ok('inspect', name)).stdout)[0] as Container,
    pty: (...args) => startPty([process.execPath, CLI, ...args], env()),
    background(...args) {
      const child = spawn(process.execPath, [CLI, ...args], { env: env(), cwd: ROOT });
      let stdout = '';
      let stderr = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      const ended = once(child, 'close').then(([code]) => code as number | null);
      return { child, ended, stdout: () => stdout, stderr: () => stderr };
    },
    async restart(settings) {
      platform = await startTestPlatform(settings);
    },
    async close() {
      await removeAll();
      await platform.stop();
    },
  };
}
