/**
 * `npm run bench`: first (with and without a blank) and warm calls through the HTTP API next to a bare `node` start
 * and a bare fastify echo, interleaved in one run, and what each further deploy adds to
 * the store; then images (images.ts). Prints tables and one JSON line. Times are of this machine in this run:
 * compare the ratios.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { fastify } from 'fastify';
import type { BlankInfo, StartKind } from '../../services/core/invocations/types.ts';
import { startTestPlatform, TEST_DATA, type TestPlatform, until } from '../helpers/platform.ts';
import { type ImageBench, measureImages } from './images.ts';
import { type Summary, summarize, timed } from './stats.ts';

const FUNCTIONS = 50;
const WARM = 400;
const MAX_ADDED = 64 * 1024;

/** What no blank fits: a root of its own. */
const COLD = 'bench-cold';
const OWN_ROOT = { runtime: 'node', dockerfile: 'Dockerfile' };
const DOCKERFILE = 'FROM node24\nCOPY index.mjs /function/index.mjs\n';

const handler = (number: number) => `export const handler = (event) => ({ echo: event, from: ${number} });\n`;
const name = (number: number) => `bench-${number}`;

async function bareNode(): Promise<void> {
  const child = spawn(process.execPath, ['-e', '0'], { env: { PATH: '/usr/bin:/bin' }, stdio: 'ignore' });
  await once(child, 'close');
}

async function post(url: string, headers: Record<string, string> = {}, start?: StartKind): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: '{"n":1}',
  });
  await response.arrayBuffer();
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
  const was = response.headers.get('x-wafer-start');
  if (start !== undefined && was !== start) throw new Error(`the start of ${url} was ${was}, not ${start}`);
}

/** All of them, so that none boots while it is measured. */
const untilBlank = (wafer: TestPlatform) =>
  until('blanks are ready', async () => {
    const { blanks } = (await (await wafer.fetch('/v1/instances')).json()) as { blanks: BlankInfo[] };
    return blanks.length > 0 && blanks.every(({ ready, booting }) => ready > 0 && booting === 0);
  });

/** Bytes on disk (blocks, not lengths) of the whole store; unreadable folders of base images do not change. */
function storeBytes(): number {
  const script = `du -s --block-size=1 '${join(TEST_DATA, 'store')}' 2>/dev/null | cut -f1`;
  return Number(execFileSync('sh', ['-c', script], { encoding: 'utf8' }));
}

async function measure(wafer: TestPlatform, echoUrl: string) {
  const samples: Record<string, number[]> = {
    'bare node start': [],
    'first call, blank ready': [],
    'cold call': [],
    'bare fastify echo': [],
    'warm call': [],
  };
  const added: number[] = [];
  const key = { authorization: `Bearer ${wafer.key}` };
  const urlOf = (number: number) => `${wafer.url}/v1/functions/${name(number)}/invoke`;
  const take = async (row: string, work: () => Promise<unknown>) => void samples[row]?.push(await timed(work));
  for (let number = 1; number <= FUNCTIONS; number++) {
    const before = storeBytes();
    await wafer.deploy(name(number), { 'index.mjs': handler(number) });
    if (number > 1) added.push(storeBytes() - before);
    await untilBlank(wafer);
    await take('bare node start', bareNode);
    await take('first call, blank ready', () => post(urlOf(number), key, 'blank'));
    await wafer.deploy(COLD, { 'index.mjs': handler(number), Dockerfile: DOCKERFILE }, OWN_ROOT);
    await take('cold call', () => post(`${wafer.url}/v1/functions/${COLD}/invoke`, key, 'cold'));
  }
  for (let round = 0; round < WARM; round++) {
    await take('bare fastify echo', () => post(echoUrl));
    await take('warm call', () => post(urlOf(FUNCTIONS), key));
  }
  return { rows: Object.fromEntries(Object.entries(samples).map(([row, values]) => [row, summarize(values)])), added };
}

function table(rows: Record<string, Summary>): void {
  const cell = (value: number) => value.toFixed(2).padStart(9);
  const width = Math.max(...Object.keys(rows).map((row) => row.length)) + 2;
  console.log(`\n${''.padEnd(width)}${['n', 'min', 'p50', 'p99'].map((head) => head.padStart(9)).join('')}   (ms)`);
  for (const [row, { n, min, p50, p99 }] of Object.entries(rows))
    console.log(`${row.padEnd(width)}${String(n).padStart(9)}${cell(min)}${cell(p50)}${cell(p99)}`);
}

const ratioIn = (rows: Record<string, Summary>) => (a: string, b: string) =>
  ((rows[a]?.p50 ?? 0) / (rows[b]?.p50 ?? 1)).toFixed(2);

function print(rows: Record<string, Summary>, added: number[]): void {
  table(rows);
  const ratio = ratioIn(rows);
  console.log(`\ncold call / bare node start    ${ratio('cold call', 'bare node start')} x (p50)`);
  console.log(
    `first call / bare node start   ${ratio('first call, blank ready', 'bare node start')} x (p50; a blank ready)`,
  );
  console.log(`warm call / bare fastify echo  ${ratio('warm call', 'bare fastify echo')} x (p50)`);
  const bytes = summarize(added);
  console.log(
    `bytes on disk added by deploys 2 to ${FUNCTIONS}: p50 ${bytes.p50}, largest ${Math.max(...added)} (limit ${MAX_ADDED})`,
  );
}

function printImages({ rows, second }: ImageBench): void {
  table(rows);
  const ratio = ratioIn(rows);
  const lines = [
    ['cached build over HTTP / buildah', 'wafer build, cached (HTTP)', 'buildah bud --layers, cached', '< 0.20'],
    [
      'cached build by the CLI / buildah',
      'wafer build, cached (CLI)',
      'buildah bud --layers, cached',
      'a Node start included',
    ],
    ['cold build / buildah', 'wafer build, cold (HTTP)', 'buildah bud, cold', '<= 1'],
    ['import / umoci unpack', 'wafer import, 300 MB', 'umoci unpack, 300 MB', '<= 1'],
  ] as const;
  console.log();
  for (const [text, ours, theirs, target] of lines)
    console.log(`${text.padEnd(36)}${ratio(ours, theirs)} x (p50; ${target})`);
  console.log(
    `bytes on disk that a second image on the same base added: ${second.added} (its own file: ${second.own})`,
  );
}

async function benchCalls(wafer: TestPlatform) {
  const echo = fastify();
  echo.post('/', async (request) => request.body);
  const echoUrl = await echo.listen({ port: 0, host: '127.0.0.1' });
  try {
    const { rows, added } = await measure(wafer, echoUrl);
    print(rows, added);
    if (Math.max(...added) >= MAX_ADDED) process.exitCode = 1;
    return { rows, added: { each: added, limit: MAX_ADDED } };
  } finally {
    for (let number = 1; number <= FUNCTIONS; number++) await wafer.remove(name(number));
    await wafer.remove(COLD);
    await echo.close();
  }
}

async function benchImages(wafer: TestPlatform) {
  const images = await measureImages(wafer);
  printImages(images);
  return { images };
}

const BENCHES = { calls: benchCalls, images: benchImages };

/** `npm run bench -- images` does only that one. */
const [only] = process.argv.slice(2);
const chosen = Object.entries(BENCHES).filter(([key]) => only === undefined || key === only);
if (chosen.length === 0) throw new Error(`there are ${Object.keys(BENCHES).join(' and ')}, not ${only}`);
const load = loadavg()[0] ?? 0;
const wafer = await startTestPlatform({ WAFER_LOG_LEVEL: 'error' });
try {
  let results: object = {};
  for (const [, bench] of chosen) results = { ...results, ...(await bench(wafer)) };
  const host = { node: process.version, load: { before: load, after: loadavg()[0] } };
  console.log(JSON.stringify({ ...results, host }));
} finally {
  await wafer.stop();
}
