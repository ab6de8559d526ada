/**
 * Runs in the namespaces of `enter`, where every address is this machine: a name server, web
 * servers and a Redis on all of them, and an engine whose sandboxes have egress. Takes one JSON
 * object a line (Visit) and answers each with one (Seen).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { isIP, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type EgressVerdict, openSandboxHost, type SandboxHost } from '../../../runtime/sandbox/index.ts';
import type { EgressSetting } from '../../../services/core/functions/egress.ts';
import { functionPolicy, NOTHING_YET } from '../../../services/worker/egress/policy.ts';
import type { Ask } from './client.ts';
import { startDnsServer, type Zone } from './dns-server.ts';

export interface WorldOptions {
  enginePath: string;
  languagesDir: string;
  layersDir: string;
  layers: string[];
  codeLayer: string;
  zone: Zone;
  key: string;
  cert: string;
}

export interface Visit {
  /** `null`: a sandbox without egress; with `late`, one that is never told what it may. */
  egress: EgressSetting | null;
  ceiling: string[];
  asks: Ask[];
  /** Made like a blank: what it may is said when it runs. */
  late?: boolean;
}

export interface Seen {
  answers: string[];
  verdicts: EgressVerdict[];
  /** Addresses of servers that were connected to meanwhile. */
  reached: string[];
  /** Names that the name server was asked for, ever. */
  asked: string[];
}

const options = JSON.parse(process.argv[2] ?? '{}') as WorldOptions;
const reached = new Set<string>();
const plain = (address = '') => address.replace(/^::ffff:/, '');

function serve(request: IncomingMessage, response: ServerResponse): void {
  response.end(`${request.headers.host ?? ''} at ${plain(request.socket.localAddress)}`);
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  server.on('connection', (socket) => reached.add(plain(socket.localAddress)));
  server.listen({ port, host, ipv6Only: host === '::' });
  await once(server, 'listening');
}

async function startRedis(): Promise<ChildProcess> {
  const child = spawn('redis-server', ['--port', '6379', '--bind', '0.0.0.0', '--protected-mode', 'no', '--save', ''], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  for await (const line of createInterface({ input: child.stdout })) if (/Ready to accept/.test(line)) break;
  child.stdout.resume();
  return child;
}

let next = 0;

async function visit(host: SandboxHost, { egress, ceiling, asks, late }: Visit): Promise<Omit<Seen, 'asked'>> {
  reached.clear();
  const verdicts: EgressVerdict[] = [];
  const egressAccount = {
    open: () => null,
    carry: () => null,
    close() {},
    record: (one: EgressVerdict) => verdicts.push(one),
  };
  const policy = egress === null ? undefined : functionPolicy(egress, ceiling);
  const sandbox = await host.create({
    id: `visit${next++}`,
    profile: 'function',
    layers: options.layers,
    codeLayers: [options.codeLayer],
    argv: late ? ['sh', '-c', 'read line; exec "$@"', 'sh'].concat(program(asks)) : program(asks),
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', CA: options.cert },
    stdin: late === true,
    memoryBytes: 1 << 30,
    pids: 64,
    ...(late ? { egress: NOTHING_YET } : policy === undefined ? {} : { egress: policy, egressAccount }),
  });
  let out = '';
  sandbox.onOutput((stream, chunk) => {
    if (stream === 'stdout') out += chunk.toString();
    else process.stderr.write(chunk);
  });
  if (late && policy !== undefined) sandbox.setEgress(policy, egressAccount);
  sandbox.stdin?.end('go\n');
  await sandbox.exited;
  await new Promise((resolve) => setImmediate(resolve)); // verdicts of what was cut with it
  const answers = out.split('\n').filter((line) => line !== '');
  return { answers: answers.map((line) => String(JSON.parse(line))), verdicts, reached: [...reached] };
}

const program = (asks: Ask[]) => ['node', '/function/client.mjs', JSON.stringify(asks)];

const runDir = await mkdtemp(join(tmpdir(), 'wafer-internet-'));
const servers = (await readFile('/etc/resolv.conf', 'utf8'))
  .split('\n')
  .flatMap((line) => /^nameserver\s+(\S+)/.exec(line)?.[1] ?? [])
  .filter((address) => isIP(address) !== 0);
const dns = await startDnsServer(options.zone, servers);
for (const address of ['0.0.0.0', '::']) {
  await listen(createHttp(serve), 80, address);
  await listen(createHttps({ key: options.key, cert: options.cert }, serve), 443, address);
}
const redis = await startRedis();
const host = await openSandboxHost({
  ...options,
  workDir: await mkdtemp(join(runDir, 'work-')),
  volumesDir: await mkdtemp(join(runDir, 'volumes-')),
  runDir,
  limits: 'none',
});
process.stdout.write('{}\n');
for await (const line of createInterface({ input: process.stdin })) {
  const seen = await visit(host, JSON.parse(line) as Visit);
  process.stdout.write(`${JSON.stringify({ ...seen, asked: [...dns.asked] } satisfies Seen)}\n`);
}
await host.close();
redis.kill();
await rm(runDir, { recursive: true, force: true });
process.exit(0);
