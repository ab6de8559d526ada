/** Handlers that say which code they are, and what else their process and their sandbox have seen. */

const NODE = `import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

const mark = 'MARK';
const nonce = randomUUID();
if (!existsSync('/tmp/sandbox')) writeFileSync('/tmp/sandbox', randomUUID());
const sandbox = readFileSync('/tmp/sandbox', 'utf8');
writeFileSync('/tmp/mark-' + mark, '');
globalThis.loadedHere = [...(globalThis.loadedHere ?? []), mark];

const answer = async ({ seq, pauseMs, fail, pad = '' }) => {
  if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  if (fail) throw new RangeError('wanted by ' + seq);
  return {
    seq, mark, nonce, sandbox, pad: pad.length,
    functionName: process.env.WAFER_FUNCTION, version: process.env.WAFER_VERSION,
    loaded: globalThis.loadedHere,
    marks: readdirSync('/tmp').filter((name) => name.startsWith('mark-')).map((name) => name.slice(5)),
  };
};
export const handler = async (event) =>
  event instanceof Request ? Response.json(await answer(await event.json())) : answer(event);
`;

const PYTHON = `import os, sys, time

mark = 'MARK'
nonce = os.urandom(16).hex()
if not os.path.exists('/tmp/sandbox'):
    with open('/tmp/sandbox', 'w') as file:
        file.write(os.urandom(16).hex())
with open('/tmp/sandbox') as file:
    sandbox = file.read()
open('/tmp/mark-' + mark, 'w').close()
sys.loaded_here = getattr(sys, 'loaded_here', []) + [mark]

def handler(event, context):
    if event['pauseMs'] > 0:
        time.sleep(event['pauseMs'] / 1000)
    if event['fail']:
        raise ValueError('wanted by %d' % event['seq'])
    return {
        'seq': event['seq'], 'mark': mark, 'nonce': nonce, 'sandbox': sandbox, 'pad': len(event['pad']),
        'functionName': os.environ['WAFER_FUNCTION'], 'version': os.environ['WAFER_VERSION'],
        'loaded': sys.loaded_here,
        'marks': [name[5:] for name in os.listdir('/tmp') if name.startswith('mark-')],
    }
`;

export interface MixedFunction {
  name: string;
  runtime: 'node' | 'python';
  config: object;
}

export const codeOf = ({ runtime }: MixedFunction, mark: string): Record<string, string> =>
  runtime === 'node' ? { 'index.mjs': NODE.replace('MARK', mark) } : { 'main.py': PYTHON.replace('MARK', mark) };

/** Of every kind: alone and shared instances, kept ones, ones that no blank fits, both languages. */
export const FUNCTIONS: readonly MixedFunction[] = [
  { name: 'mixed-a', runtime: 'node', config: {} },
  { name: 'mixed-b', runtime: 'node', config: { concurrency: 4 } },
  { name: 'mixed-c', runtime: 'node', config: { concurrency: 16 } },
  { name: 'mixed-d', runtime: 'node', config: { minInstances: 1 } },
  { name: 'mixed-e', runtime: 'node', config: { tmpMb: 16 } },
  { name: 'mixed-f', runtime: 'node', config: { env: { SECRET: 'of f' } } },
  { name: 'mixed-g', runtime: 'node', config: { timeoutMs: 60_000 } },
  { name: 'mixed-p', runtime: 'python', config: {} },
  { name: 'mixed-q', runtime: 'python', config: { concurrency: 4 } },
  { name: 'mixed-r', runtime: 'python', config: { minInstances: 1 } },
].map(({ config, ...one }) => ({
  ...(one as Omit<MixedFunction, 'config'>),
  config: { runtime: one.runtime, memoryMb: 64, ...config },
}));
