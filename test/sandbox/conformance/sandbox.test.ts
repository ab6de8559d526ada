/** The conformance suite inside real sandboxes, on the real base images. */
import { afterAll, beforeAll, describe } from 'vitest';
import type { Zygote } from '../../../runtime/sandbox/index.ts';
import { BASE_ENV } from '../../../services/worker/instances/plan.ts';
import { layerOfFolder } from '../../helpers/folder-layer.ts';
import { startZygote } from '../../helpers/python-zygote.ts';
import { openTestHost, type TestHost } from '../../helpers/sandbox-host.ts';
import type { RuntimeName } from './cases.ts';
import { conformanceTests } from './conformance.ts';
import { type Launched, runtimeArgv } from './harness.ts';

const BASES: Record<RuntimeName, string> = { node: 'node24', python: 'python3.11', http: 'node24' };

let test: TestHost;
const codeLayers = new Map<string, Promise<string>>();
let next = 0;
let zygote: Promise<Zygote> | undefined;

beforeAll(async () => {
  test = await openTestHost();
});
afterAll(async () => {
  for (const layer of codeLayers.values()) await test.host.removeLayer(await layer);
  await test.close();
});

const launchSandbox = (runtime: RuntimeName, codeDir: string) => launch(runtime, codeDir);

/** Made by a zygote, instead of executed. */
async function launchForked(runtime: RuntimeName, codeDir: string): Promise<Launched> {
  zygote ??= startZygote(test.host, test.base(BASES[runtime]).layers);
  return launch(runtime, codeDir, (await zygote).id);
}

async function launch(runtime: RuntimeName, codeDir: string, forkedBy?: string): Promise<Launched> {
  let layer = codeLayers.get(codeDir);
  if (layer === undefined) {
    layer = layerOfFolder(test.host, codeDir);
    codeLayers.set(codeDir, layer);
  }
  const sandbox = await test.host.create({
    id: `conformance-${next++}`,
    profile: 'function',
    layers: test.base(BASES[runtime]).layers,
    codeLayers: [await layer],
    argv: runtimeArgv(runtime, '/.wafer'),
    // As blanks have it: what they do before READY changes nothing of what comes after.
    env: { ...BASE_ENV, WAFER_BLANK: 'fetch' },
    cwd: '/function',
    control: true,
    memoryBytes: 1 << 30,
    pids: 256,
    tmpBytes: 64 << 20,
    ...(forkedBy === undefined ? {} : { zygote: forkedBy }),
  });
  if (forkedBy !== undefined && sandbox.fork !== true) throw new Error(`it was not forked: ${sandbox.fork}`);
  if (sandbox.control === null) throw new Error('no control socket');
  let output = '';
  sandbox.onOutput((_stream, chunk) => {
    output += chunk.toString();
  });
  return {
    control: sandbox.control,
    codePath: '/function',
    env: runtime === 'http' ? { PORT: '8080' } : {},
    output: () => output,
    exited: sandbox.exited.then((exit) => exit.status),
    kill: () => sandbox.destroy(),
  };
}

describe('conformance in sandboxes', () => conformanceTests(launchSandbox));
describe('conformance of what a zygote makes', () => conformanceTests(launchForked, ['python']));
