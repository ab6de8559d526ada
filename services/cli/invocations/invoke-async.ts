/** `wafer invoke --async`: accepted, and waited for when that is asked. */
import { writeFile } from 'node:fs/promises';
import { createInvocationClient, type InvocationClient } from '../invocation-client.ts';
import { parseDuration } from '../numbers.ts';
import type { Ui } from '../ui.ts';
import { showInvocation } from './show.ts';

export interface AsyncOptions {
  alias: string | undefined;
  version: number | undefined;
  wait: boolean | undefined;
  delay: string | undefined;
  key: string | undefined;
  callback: string | undefined;
  /** Absolute. */
  output: string | undefined;
  json: boolean;
}

/** @returns the exit code: 1 when it was waited for and did not succeed */
export async function invokeAsync(
  name: string,
  event: Buffer,
  options: AsyncOptions,
  { ui, env }: { ui: Ui; env: Record<string, string | undefined> },
): Promise<number> {
  const client = createInvocationClient(env);
  const { alias, version, delay, key, callback, json } = options;
  const accepted = await client.accept(name, event, {
    alias,
    version,
    delayMs: delay === undefined ? undefined : parseDuration('--delay', delay),
    idempotencyKey: key,
    callbackUrl: callback,
  });
  if (options.wait) return waitFor(client, accepted.id, options, ui);
  if (json) ui.json(accepted);
  else ui.out(accepted.id);
  if (!json && ui.stderrIsTty) {
    const once = accepted.state === 'repeated' ? ' It was accepted before, for the same key.' : '';
    ui.err(`Accepted.${once} How it goes: wafer invocations get ${accepted.id}`);
  }
  return 0;
}

async function waitFor(client: InvocationClient, id: string, { output, json }: AsyncOptions, ui: Ui): Promise<number> {
  const task = ui.task(`${id} is accepted`);
  const ended = await client.untilEnded(id, ({ state, attempts }) =>
    task.update(`${id} is ${state}, attempt ${attempts}`),
  );
  task.clear();
  if (json) ui.json(ended);
  else if (ended.state !== 'succeeded') showInvocation(ui, ended, Date.now());
  else if (output !== undefined) await writeFile(output, await client.bytes(id, 'result'));
  else await ui.raw(Buffer.concat([await client.bytes(id, 'result'), Buffer.from(ui.stdoutIsTty ? '\n' : '')]));
  return ended.state === 'succeeded' ? 0 : 1;
}
