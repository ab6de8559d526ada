/** Deploys compile what is worth it, and first calls use it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

/** Many small functions: over the size from which a deploy compiles. */
const many = (make: (number: number) => string) => Array.from({ length: 900 }, (_, at) => make(at)).join('\n');
const SCRIPT = `${many((at) => `exports.f${at} = (value) => ({ value, at: ${at}, text: 'number ${at}' });`)}
exports.handler = async (event) => exports.f7(event.n);
`;
const MODULE = `${many((at) => `export const f${at} = (value) => ({ value, at: ${at}, text: 'number ${at}' });`)}
export { handler } from './handler.mjs';
`;
const PYTHON = `${many((at) => `def f${at}(value):\n    return {"value": value, "at": ${at}}`)}

def handler(event, context):
    return f7(event["n"])
`;

let wafer: TestPlatform;
beforeAll(async () => {
  wafer = await startTestPlatform({ WAFER_LOG_LEVEL: 'debug' });
});
afterAll(async () => {
  for (const name of ['compiled-js', 'compiled-mjs', 'compiled-py', 'compiled-small']) await wafer?.remove(name);
  await wafer?.stop();
});

async function layersOf(image: string): Promise<string[]> {
  const response = await wafer.fetch(`/v1/images/${image}`);
  const { layers } = (await response.json()) as { layers: { createdBy: string }[] };
  return layers.map(({ createdBy }) => createdBy);
}

describe('a deploy', () => {
  it('compiles a script into a layer of its own, and the first call uses it', async () => {
    const { image } = await wafer.deploy('compiled-js', { 'index.js': SCRIPT });
    expect((await layersOf(image)).slice(-2)).toEqual(['code', 'compile']);
    expect((await wafer.invoke('compiled-js', { n: 1 })).body).toEqual({ value: 1, at: 7, text: 'number 7' });
    const used = /"function":"compiled-js".*"codeCache":\{"used":1,"refused":0\}/;
    await until('the log says so', async () => used.test(wafer.output()));
  });

  it('gives the same image for the same source', async () => {
    const first = await wafer.deploy('compiled-js', { 'index.js': SCRIPT });
    const second = await wafer.deploy('compiled-js', { 'index.js': SCRIPT });
    expect(second.number).toBeGreaterThan(first.number);
    expect(second.image).toBe(first.image);
  });

  it('compiles modules and Python, too', async () => {
    const handler = `import { f7 } from './index.mjs';\nexport const handler = (event) => f7(event.n);\n`;
    const module = await wafer.deploy('compiled-mjs', { 'index.mjs': MODULE, 'handler.mjs': handler });
    const python = await wafer.deploy('compiled-py', { 'main.py': PYTHON }, { runtime: 'python' });
    for (const { image } of [module, python]) expect((await layersOf(image)).at(-1)).toBe('compile');
    expect((await wafer.invoke('compiled-mjs', { n: 2 })).body).toMatchObject({ value: 2, at: 7 });
    expect((await wafer.invoke('compiled-py', { n: 3 })).body).toEqual({ value: 3, at: 7 });
  });

  it('does not wait for a compiler when there is next to nothing to compile', async () => {
    const { image } = await wafer.deploy('compiled-small', { 'index.js': 'exports.handler = async () => 1;\n' });
    expect((await layersOf(image)).at(-1)).toBe('code');
    expect((await wafer.invoke('compiled-small')).body).toBe(1);
  });
});
