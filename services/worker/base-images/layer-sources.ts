/** Makes the layers of base images: host scripts that write a tar, or commands in a build sandbox. */
import { execFile, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { EgressPolicy } from '../../../runtime/sandbox/index.ts';
import { WaferError } from '../../core/errors.ts';
import type { ImageStore, LayerInfo } from '../../core/images/types.ts';
import type { BuildSandboxes } from '../builder/build-sandbox.ts';
import type { Definition, LayerSource, NpmFiles } from './definition.ts';

export interface LayerSourceDeps {
  /** `infra/base-images`. */
  dir: string;
  images: ImageStore;
  sandboxes: BuildSandboxes;
  log: (text: string) => void;
}

/** `percent` of this layer, 0-100. */
export type LayerProgress = (percent: number, text: string) => void;

export function makeLayer(
  source: LayerSource,
  definition: Definition,
  below: string[],
  deps: LayerSourceDeps,
  onProgress: LayerProgress,
): Promise<LayerInfo> {
  if (source.kind === 'run') return runInSandbox(source.script, definition, below, deps, onProgress);
  const script = source.kind === 'mmdebstrap' ? join(definition.dir, source.script) : join(deps.dir, 'npm-files.sh');
  const args = source.kind === 'mmdebstrap' ? [] : npmArgs(source);
  return runScript(script, args, `${definition.name}: ${source.kind}`, deps, onProgress);
}

function npmArgs(source: NpmFiles): string[] {
  const name = source.package.replace('{arch}', process.arch);
  const integrity = source.integrity[process.arch] ?? source.integrity['any'];
  if (integrity === undefined)
    throw new WaferError('build_failed', `${name}: no build for the processor ${process.arch}.`);
  const repeat = (flag: string, values: string[]) => values.flatMap((value) => [flag, value]);
  return [
    '--package',
    name,
    '--version',
    source.version,
    '--integrity',
    integrity,
    ...repeat('--file', source.files),
    ...repeat('--tree', source.trees),
    ...repeat('--link', source.links),
  ];
}

/**
 * Runs a script of ours as this user; stdout is the tar, `@PERCENT TEXT` lines on stderr are progress.
 * It is asked to end when we end, however that happens; its own children are its business.
 */
async function runScript(
  script: string,
  args: string[],
  step: string,
  { images, log }: LayerSourceDeps,
  onProgress: LayerProgress,
): Promise<LayerInfo> {
  // A process group of its own: a mmdebstrap that fails sends SIGHUP to its whole group, which must not be ours.
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', 'bash', script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const kept: string[] = [];
  eachLine(child.stderr, (line) => {
    const progress = /^@(\d+) (.*)$/.exec(line);
    if (progress) return onProgress(Number(progress[1]), progress[2] ?? '');
    log(`${step}: ${line}`);
    kept.push(line);
    if (kept.length > 20) kept.shift();
  });
  const ended = new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', (code) => resolve(code)),
  );
  const layer = images.addLayer(child.stdout, { createdBy: step });
  layer.catch(() => child.kill('SIGTERM'));
  const [status, added] = await Promise.allSettled([ended, layer]);
  if (status.status === 'rejected' || status.value !== 0) {
    throw new WaferError('build_failed', `The base image step "${step}" failed: ${kept.at(-1) ?? 'no output'}`, {
      details: { step, output: kept.join('\n') },
    });
  }
  if (added.status === 'rejected') throw added.reason;
  return added.value;
}

function eachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    lines.forEach(onLine);
  });
  stream.on('end', () => rest !== '' && onLine(rest));
}

async function runInSandbox(
  script: string,
  definition: Definition,
  below: string[],
  deps: LayerSourceDeps,
  onProgress: LayerProgress,
): Promise<LayerInfo> {
  const step = `${definition.name}: ${script}`;
  const { egress, conf } = await aptAccess(deps.dir);
  let lines = 0;
  const command = {
    step,
    layers: below,
    argv: ['/bin/sh', '/run/wafer/step.sh'],
    env: { DEBIAN_FRONTEND: 'noninteractive', ...envOf(definition) },
    files: { '/run/wafer/step.sh': await readFile(join(definition.dir, script)), '/etc/apt/apt.conf.d/95host': conf },
    egress,
  };
  const onOutput = (_stream: string, line: string) => {
    deps.log(`${step}: ${line}`);
    // apt does not say how far it is; approach the end with every line.
    onProgress(Math.round(95 * (1 - 1 / (1 + ++lines / 25))), line.slice(0, 60));
  };
  return deps.sandboxes.run(command, [], onOutput, (tar) => deps.images.addLayer(tar, { createdBy: step }));
}

/** How this host reaches Debian: the same sources, proxies and CA settings. */
export async function aptAccess(dir: string): Promise<{ egress: EgressPolicy; conf: string }> {
  const ask = async (what: string) => (await promisify(execFile)('bash', [join(dir, 'apt-host.sh'), what])).stdout;
  const [hosts, conf] = await Promise.all([ask('hosts'), ask('conf')]);
  const allow = hosts
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({
      host: line.slice(0, line.lastIndexOf(':')),
      port: Number(line.slice(line.lastIndexOf(':') + 1)),
      trustResolved: true,
    }));
  return { egress: allow.length === 0 ? { mode: 'public' } : { mode: 'list', allow }, conf };
}

export function envOf(definition: Definition): Record<string, string> {
  return Object.fromEntries(
    definition.env.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  );
}
