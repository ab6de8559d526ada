/** Registries that lead elsewhere, break off or never end: I21, I22 and I25. After each refusal the store is as before. */
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { MEDIA } from '../../../services/core/images/types.ts';
import { makeImage } from '../../helpers/oci-layout.ts';
import { bytesOf, statusOf } from '../../helpers/scripted-registry.ts';
import {
  dir,
  expectRefused,
  image,
  other,
  pull,
  registry,
  serve,
  service,
  signal,
  unique,
  unpacked,
  useLab,
} from './hostile-lab.ts';

useLab();

describe('where a registry sends us', () => {
  it('I21: a redirect to another host that is not public is refused; one that is named gets no credentials', async () => {
    const made = image();
    serve(made);
    other.serve('a', 'v1', made);
    const [layer] = made.layers;
    const location = `http://${other.host}/v2/a/blobs/${layer!.digest}`;
    registry.on(new RegExp(`blobs/${layer!.digest}`), statusOf(307, { location }));
    await expectRefused('registry_denied', /HTTPS/);
    for (const address of ['169.254.169.254', '127.0.0.1', '[::1]', '10.0.0.1', '[::ffff:127.0.0.1]', '0.0.0.0']) {
      registry.on(new RegExp(`blobs/${layer!.digest}`), statusOf(307, { location: `https://${address}/x` }));
      await expectRefused('registry_denied', /not a public address/);
    }
    registry.on(new RegExp(`blobs/${layer!.digest}`), statusOf(307, { location: `https://localhost/x` }));
    await expectRefused('registry_denied', /localhost \((127\.0\.0\.1|::1)\), which is not a public address/);
    expect(other.seen).toEqual([]);
    registry.on(new RegExp(`blobs/${layer!.digest}`), statusOf(307, { location }));
    registry.on(/manifests/, (request, response) => {
      if (request.headers.authorization === undefined)
        return statusOf(401, { 'www-authenticate': 'Basic realm="x"' })(request, response);
      bytesOf(made.manifest, MEDIA.manifest)(request, response);
    });
    await pull('a:v1', { login: true, named: [other.host] });
    expect(registry.seen.at(-1)!.headers.authorization).toMatch(/^Basic /);
    expect(other.seen).toHaveLength(1);
    expect(other.seen[0]!.headers.authorization).toBeUndefined();
  });

  it('I21: redirects in a circle end', async () => {
    registry.on(/manifests/, (request, response) => statusOf(302, { location: request.url })(request, response));
    await expectRefused('registry_failed', /too often/);
    expect(registry.seen.length).toBeLessThan(10);
  });

  it('I21: a token server on another host without HTTPS, or at a private address, gets nothing', async () => {
    for (const realm of [
      `http://${other.host}/token`,
      'https://192.168.0.1/token',
      'https://127.0.0.1:1/token',
      'http://169.254.169.254/',
    ]) {
      registry.on(/manifests/, statusOf(401, { 'www-authenticate': `Bearer realm="${realm}",service="x"` }));
      await expectRefused('registry_denied', /sends us to/, () => pull('a:v1', { login: true }));
    }
    expect(other.seen).toEqual([]);
  });

  it('I21: a token is asked for with our own scope, and goes to the registry only', async () => {
    const made = image();
    serve(made);
    registry.on(/GET \/token/, bytesOf(Buffer.from('{"token":"t-1"}'), 'application/json'));
    registry.on(/\/v2\//, (request, response) => {
      if (request.headers.authorization === 'Bearer t-1') {
        const found = [...made.blobs].find(([digest]) => request.url.includes(digest));
        return bytesOf(found?.[1] ?? made.manifest, found === undefined ? MEDIA.manifest : undefined)(
          request,
          response,
        );
      }
      const challenge = `Bearer realm="http://${registry.host}/token?scope=evil",service="s",scope="repository:all:*"`;
      statusOf(401, { 'www-authenticate': challenge })(request, response);
    });
    await pull();
    const token = registry.seen.find(({ url }) => url.startsWith('/token'))!;
    const query = new URL(token.url, 'http://x').searchParams;
    expect(query.getAll('scope')).toEqual(['repository:a:pull']);
    expect(query.get('service')).toBe('s');
  });

  it('I21: an upload is not followed to another host', async () => {
    const made = image();
    serve(made);
    await pull();
    registry.on(/HEAD/, statusOf(404));
    registry.on(/POST/, statusOf(202, { location: `http://${other.host}/upload` }));
    await expect(
      service({ login: true }).push(made.digest, undefined, { onEvent: () => {}, signal }),
    ).rejects.toMatchObject({ code: 'registry_denied' });
    registry.on(/POST/, statusOf(202, { location: 'https://169.254.169.254/upload' }));
    await expect(service().push(made.digest, undefined, { onEvent: () => {}, signal })).rejects.toMatchObject({
      code: 'registry_denied',
    });
    expect(other.seen).toEqual([]);
  });

  it('a token that could break out of its header is refused', async () => {
    registry.on(/GET \/token/, bytesOf(Buffer.from(JSON.stringify({ token: 'a\r\nx: y' })), 'application/json'));
    registry.on(/manifests/, statusOf(401, { 'www-authenticate': `Bearer realm="http://${registry.host}/token"` }));
    await expectRefused('registry_failed', /without a token/);
  });

  it('a registry that is not named is spoken to over HTTPS only', async () => {
    const run = () => service().pull(`${other.host}/a:v1`, { onEvent: () => {}, signal });
    await expect(run()).rejects.toMatchObject({ hint: expect.stringContaining('WAFER_INSECURE_REGISTRIES') });
    expect(other.seen).toEqual([]);
  });
});

describe('broken registries', () => {
  it('I22: 401 again and again ends, and says how to log in', async () => {
    registry.on(/GET \/token/, bytesOf(Buffer.from('{"token":"t"}'), 'application/json'));
    registry.on(/manifests/, statusOf(401, { 'www-authenticate': `Bearer realm="http://${registry.host}/token"` }));
    await expect(pull()).rejects.toMatchObject({ code: 'registry_denied', hint: expect.stringContaining('login') });
    registry.on(/manifests/, statusOf(401, { 'www-authenticate': 'Basic realm="x"' }));
    await expectRefused('registry_denied', /401/, () => pull('a:v1', { login: true }));
    expect(registry.seen.length).toBeLessThan(10);
  });

  it('I22: 429 and 503 are tried again a few times, not for ever', async () => {
    const made = image();
    serve(made);
    let refusals = 2;
    registry.on(/manifests/, (request, response) => {
      if (refusals-- > 0) return statusOf(429, { 'retry-after': '3000' })(request, response);
      bytesOf(made.manifest, MEDIA.manifest)(request, response);
    });
    expect((await pull()).digest).toBe(made.digest);
    registry.reset();
    registry.on(/manifests/, statusOf(503));
    await expectRefused('registry_failed', /failed 5 times; the last time: .* answered 503/);
    expect(registry.seen).toHaveLength(5);
  });

  it('I22: a blob that breaks off goes on where it was', async () => {
    const made = makeImage([{ big: randomBytes(2_000_000) }]);
    serve(made);
    const [layer] = made.layers;
    const bytes = made.blobs.get(layer!.digest)!;
    const ranges: (string | undefined)[] = [];
    let cuts = 2;
    registry.on(new RegExp(`blobs/${layer!.digest}`), (request, response) => {
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      ranges.push(request.headers.range);
      const rest = bytes.subarray(from);
      const headers = {
        'content-length': rest.length,
        'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}`,
      };
      response.writeHead(from > 0 ? 206 : 200, headers);
      if (cuts-- > 0) response.write(rest.subarray(0, 700_000), () => response.destroy());
      else response.end(rest);
    });
    expect((await pull()).digest).toBe(made.digest);
    expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]/), expect.stringMatching(/^bytes=[1-9]/)]);
  });

  it.each([
    ['another range', { 'content-range': 'bytes 0-99/100' }, 206],
    ['another size', { 'content-range': 'bytes 700000-999999/1000000' }, 206],
    ['no range', {}, 206],
    ['the whole again', {}, 200],
  ] as const)('I22: a continuation with %s starts anew, and the content is right', async (_what, headers, status) => {
    const made = makeImage([{ big: randomBytes(1_500_000) }]);
    serve(made);
    const [layer] = made.layers;
    const bytes = made.blobs.get(layer!.digest)!;
    let asked = 0;
    registry.on(new RegExp(`blobs/${layer!.digest}`), (_request, response) => {
      asked += 1;
      if (asked === 1)
        return void response
          .writeHead(200, { 'content-length': bytes.length })
          .write(bytes.subarray(0, 700_000), () => response.destroy());
      if (asked === 2) return void response.writeHead(status, headers).end(bytes);
      response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
    });
    expect((await pull()).digest).toBe(made.digest);
    expect(asked).toBe(status === 200 ? 2 : 3);
  });

  it('I22: a blob that comes in drops is given up, and the next try may be quicker', async () => {
    const made = image();
    serve(made);
    const [layer] = made.layers;
    const bytes = made.blobs.get(layer!.digest)!;
    let asked = 0;
    registry.on(new RegExp(`blobs/${layer!.digest}`), (_request, response) => {
      if (asked++ > 0) return void response.end(bytes);
      response.writeHead(200, { 'content-length': bytes.length });
      const timer = setInterval(() => response.write('x'), 5);
      response.once('close', () => clearInterval(timer));
    });
    const run = pull('a:v1', { limits: { stallMs: 100, stallBytes: 1000 } });
    // The drops were wrong bytes and are thrown away with the restart.
    expect((await run).digest).toBe(made.digest);
  });

  it('I22: silence ends', async () => {
    registry.on(/manifests/, () => {});
    await expectRefused('registry_failed', /silent/, () => pull('a:v1', { limits: { idleMs: 50, attempts: 2 } }));
  });

  it('I22: a second encoding is refused', async () => {
    const made = image();
    serve(made);
    const [layer] = made.layers;
    const packed = gzipSync(made.blobs.get(layer!.digest)!);
    registry.on(new RegExp(`blobs/${layer!.digest}`), bytesOf(packed, undefined, { 'content-encoding': 'gzip' }));
    await expectRefused('registry_failed', /second time/);
  });

  it('an error text is printed without its control characters', async () => {
    const body = JSON.stringify({ errors: [{ code: 'DENIED', message: '\u001b[2Jgone\r\n' }] });
    registry.on(/manifests/, statusOf(403, {}, body));
    await expectRefused('registry_denied', /\(DENIED: \?\[2Jgone\?\?\)/);
  });

  it('I25: pulls of one image at the same time fetch each layer once', async () => {
    const made = image({}, 2);
    serve(made);
    const results = await Promise.all(Array.from({ length: 8 }, () => pull()));
    expect(new Set(results.map(({ digest }) => digest))).toEqual(new Set([made.digest]));
    for (const { digest } of made.layers) {
      expect(registry.seen.filter(({ url }) => url.endsWith(digest))).toHaveLength(1);
    }
    expect(unpacked).toBe(2);
  });

  it('a pull that is given up leaves no partial file, and its layers are there for the next one', async () => {
    const made = makeImage([unique(), { big: randomBytes(1_000_000) }]);
    serve(made);
    const stop = new AbortController();
    registry.on(new RegExp(`blobs/${made.layers[1]!.digest}`), (_request, response) => {
      response
        .writeHead(200, { 'content-length': made.layers[1]!.size })
        .write(made.blobs.get(made.layers[1]!.digest)!.subarray(0, 1000));
    });
    const run = service().pull(`${registry.host}/a:v1`, {
      onEvent: (event) => event.state === 'done' && stop.abort(new Error('given up')),
      signal: stop.signal,
    });
    await expect(run).rejects.toThrow('given up');
    expect(readdirSync(join(dir, 'tmp'))).toEqual([]);
    registry.reset();
    serve(made);
    await pull();
    expect(registry.seen.some(({ url }) => url.endsWith(made.layers[0]!.digest))).toBe(false);
  });
});
