/**
 * `wafer up --demo`: the first screen of a new user. Deploys two examples, calls each
 * cold and warm, and shows the answers with what they cost.
 */
import { join } from 'node:path';
import { WaferError } from '../core/errors.ts';
import { packFolder } from '../core/functions/source/pack-folder.ts';
import { packageRoot } from '../core/package-root.ts';
import { type Client, createClient, problemError } from './client.ts';
import { formatBytes, formatMs } from './format.ts';
import { type CallReceipt, readReceipt } from './receipt.ts';
import { readAll } from './transport.ts';
import type { Ui } from './ui.ts';

const EXAMPLES = ['hello-node', 'hello-python'] as const;
const EVENT = Buffer.from(JSON.stringify({ name: 'Wafer' }));

/** @throws WaferError when an example does not deploy or answer: then the platform does not work */
export async function runDemo(ui: Ui, env: Record<string, string | undefined>): Promise<void> {
  const client = createClient(env);
  for (const name of EXAMPLES) {
    const task = ui.task(`Deploying ${name}`);
    try {
      const deployed = await deployExample(client, name);
      task.clear();
      ui.out(
        `\n${ui.paint('bold', name)} v${deployed.number}  ${ui.paint('dim', `deployed in ${formatMs(deployed.ms)}, added ${formatBytes(deployed.addedBytes)} over ${deployed.base}`)}`,
      );
    } finally {
      task.clear();
    }
    for (const _call of ['cold', 'warm']) await showCall(ui, client, name);
  }
}

async function deployExample(client: Client, name: string) {
  const startedAt = Date.now();
  const { stream } = await packFolder(join(packageRoot(), 'functions-examples', name));
  for await (const event of client.deploy(name, stream, { name })) {
    if (event.type === 'failed') throw problemError(event.problem);
    if (event.type !== 'deployed') continue;
    const { number, addedBytes, base } = event.version;
    return { number, addedBytes, base, ms: Date.now() - startedAt };
  }
  throw new WaferError('internal', `The deploy of ${name} ended without a version.`);
}

async function showCall(ui: Ui, client: Client, name: string): Promise<void> {
  const reply = await client.invoke(name, EVENT, {});
  if (reply.problem !== null) throw problemError(reply.problem);
  const answer = (await readAll(reply, client.url)).toString();
  ui.out(`  ${describe(ui, readReceipt(reply.headers))}`);
  ui.out(`        ${ui.paint('green', answer.length > 100 ? `${answer.slice(0, 99)}…` : answer)}`);
}

/** `cold  31.2 ms   sandbox 3.1 · boot 24.0 · init 1.2 · handler 0.9`; phases that took no time are left out. */
function describe(ui: Ui, { start, phases }: CallReceipt): string {
  const parts = Object.entries(phases).filter(([, ms]) => ms >= 0.05);
  const total = Object.values(phases).reduce((sum, ms) => sum + ms, 0);
  const shown = parts.map(([phase, ms]) => `${phase} ${ms.toFixed(1)}`).join(' · ');
  return `${ui.paint(start === 'warm' ? 'yellow' : 'cyan', (start ?? '').padEnd(5))} ${`${total.toFixed(1)} ms`.padStart(9)}   ${ui.paint('dim', shown)}`;
}
