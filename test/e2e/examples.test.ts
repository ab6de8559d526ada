/** Every example is deployed by the real CLI and called through the real HTTP API and the real CLI. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../helpers/paths.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';

const EXAMPLES = join(ROOT, 'functions-examples');

let wafer: TestPlatform;
beforeAll(async () => {
  wafer = await startTestPlatform();
});
afterAll(() => wafer.stop());

async function deploy(example: string): Promise<void> {
  const result = await wafer.wafer(['deploy', join(EXAMPLES, example)]);
  expect(result.status, `${result.stdout}\n${result.stderr}`).toBe(0);
}

describe('functions-examples', () => {
  it('each have a wafer.json, a handler and a README of at most 14 lines', async () => {
    for (const example of await readdir(EXAMPLES)) {
      const files = await readdir(join(EXAMPLES, example));
      expect(files, example).toContain('wafer.json');
      const readme = await readFile(join(EXAMPLES, example, 'README.md'), 'utf8');
      expect(readme.trimEnd().split('\n').length, example).toBeLessThanOrEqual(14);
    }
  });

  it.each(['hello-node', 'hello-python', 'hello-ts'])('%s greets by name through HTTP and CLI', async (example) => {
    await deploy(example);
    const reply = await wafer.invoke(example, { name: 'Ada' });
    expect(reply.status, JSON.stringify(reply.body)).toBe(200);
    expect(JSON.stringify(reply.body)).toContain('Ada');
    const cli = await wafer.wafer(['invoke', example, '--data', '{"name":"Grace"}']);
    expect(cli.status, cli.stderr).toBe(0);
    expect(cli.stdout).toContain('Grace');
  });

  it('express-app serves its routes with npm dependencies', async () => {
    await deploy('express-app');
    const response = await wafer.fetch('/fn/express-app/');
    expect(response.status, await response.clone().text()).toBe(200);
    const posted = await wafer.fetch('/fn/express-app/echo?x=1', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"a":[1,2]}',
    });
    expect(await posted.text()).toContain('[1,2]');
    expect((await wafer.fetch('/fn/express-app/no-such-route')).status).toBe(404);
  });

  it('word-count counts the words of a real text', async () => {
    await deploy('word-count');
    const reply = await wafer.invoke('word-count', { top: 3 });
    expect(reply.status, JSON.stringify(reply.body)).toBe(200);
    expect(JSON.stringify(reply.body)).toMatch(/"the"/);
  });

  it('fetch-with-allowlist reaches nothing but what it names', async () => {
    await deploy('fetch-with-allowlist');
    for (const url of ['http://169.254.169.254/', 'https://example.org/', 'http://127.0.0.1:7070/']) {
      const reply = await wafer.invoke('fetch-with-allowlist', { url });
      expect(reply.body, JSON.stringify(reply.body)).toEqual({ url, refused: expect.stringMatching(/^E[A-Z]+$/) });
    }
  });

  it('thumbnail makes a smaller picture of a real one', async () => {
    await deploy('thumbnail');
    const response = await wafer.fetch('/v1/functions/thumbnail/invoke', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"width":64}',
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    expect(response.status, Buffer.from(bytes).toString('utf8').slice(0, 500)).toBe(200);
    expect(bytes.length).toBeGreaterThan(200);
    const isPicture = bytes[0] === 0xff || bytes[0] === 0x89 || Buffer.from(bytes.subarray(0, 4)).toString() === 'RIFF';
    expect(isPicture).toBe(true);
  });

  it('dockerfile-http serves a page that another stage made, from one process', async () => {
    await deploy('dockerfile-http');
    const page = await wafer.fetch('/fn/dockerfile-http/');
    expect(await page.text()).toBe('<h1>Hello from a layer</h1>\n');
    const json = await (await wafer.fetch('/fn/dockerfile-http/a?b=1')).json();
    expect(json).toEqual({ path: '/a?b=1', served: 2 });
  });

  it('pdf-render makes a PDF with a program and fonts of Debian, and refuses what is no invoice', async () => {
    await deploy('pdf-render');
    const items = [{ name: 'Engine <1>', price: 12.5, count: 2 }];
    const post = (body: object) => wafer.fetch('/fn/pdf-render/', { method: 'POST', body: JSON.stringify(body) });
    const response = await post({ number: 7, to: 'Ada', items });
    expect(response.headers.get('content-type')).toBe('application/pdf');
    const pdf = Buffer.from(await response.arrayBuffer()).toString('latin1');
    expect(pdf).toMatch(/^%PDF-1\.\d[\s\S]*%%EOF\s*$/);
    expect(pdf).toContain('DejaVuSans');
    expect((await post({ items: 'none' })).status).toBe(400);
  });

  it('dockerfile-stdin counts words with a shell script', async () => {
    await deploy('dockerfile-stdin');
    const reply = await wafer.invoke('dockerfile-stdin', 'to be or not to be, to the end');
    expect(reply.body).toEqual([
      { word: 'to', count: 3 },
      { word: 'be', count: 2 },
      { word: 'end', count: 1 },
    ]);
  });

  it('logs and describe show what was called', async () => {
    await deploy('hello-node');
    const reply = await wafer.invoke('hello-node', { name: 'Log' });
    const id = reply.headers.get('x-wafer-invocation') ?? '';
    const logs = await wafer.wafer(['logs', 'hello-node', '--invocation', id]);
    expect(logs.status, logs.stderr).toBe(0);
    expect(logs.stdout).toContain('Log');
    const describe = await wafer.wafer(['describe', 'hello-node', '--json']);
    expect(JSON.parse(describe.stdout)).toMatchObject({ name: 'hello-node' });
    const ps = await wafer.wafer(['ps', '--json']);
    expect(ps.stdout).toContain('hello-node');
    const images = await wafer.wafer(['images']);
    expect(images.stdout).toContain('node24');
  });
});
