/** Passwords, tokens and cut connections, with Debian's docker-registry behind them. */
import { execFileSync } from 'node:child_process';
import { createHash, createSign, randomBytes, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createImageService, type ImageService, openImageStore } from '../../../services/core/images/index.ts';
import type { TransferEvent } from '../../../services/core/images/progress.ts';
import { createRegistryClient } from '../../../services/core/images/registry/client.ts';
import { type Credentials, createCredentials } from '../../../services/core/images/registry/credentials.ts';
import { createImageNames } from '../../../services/core/images/reserved.ts';
import { type DockerRegistry, freePort, skopeo, startDockerRegistry } from '../../helpers/docker-registry.ts';
import { type MadeImage, makeImage, writeLayout } from '../../helpers/oci-layout.ts';
import { createTarUnpacker } from '../../helpers/tar-unpacker.ts';

const signal = new AbortController().signal;
const quiet = { onEvent: () => {}, signal };
/** bcrypt of `pass word`, as htpasswd -B writes it. */
const HTPASSWD = 'ada:$2b$05$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf.\n';
const PASSWORD = 'pass word';

let dir: string;
let image: MadeImage;
let layout: string;
let numbers = 0;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-auth-'));
  image = makeImage([{ 'big.bin': randomBytes(3_000_000) }, { 'small.txt': 'x' }]);
  layout = writeLayout(join(dir, 'layout'), image);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A service with a store and a password file of its own. */
async function newService(
  ...insecure: string[]
): Promise<{ service: ImageService; credentials: Credentials; file: string }> {
  const at = join(dir, `store-${numbers++}`);
  mkdirSync(at);
  const log = { warn: () => undefined, info: () => undefined };
  const store = await openImageStore({ dir: at, unpacker: createTarUnpacker(join(at, 'layers')), log });
  const file = join(at, 'registries.json');
  const credentials = createCredentials(file);
  const limits = { backoffMs: 1, maxBackoffMs: 50, progressBytes: 1000 };
  const client = createRegistryClient({ insecure, credentials, limits });
  const parts = {
    store,
    client,
    credentials,
    defaultRegistry: null,
    names: createImageNames(() => []),
    versions: async () => [],
    tmpDir: at,
  };
  return { service: createImageService(parts), credentials, file };
}

describe('a registry with passwords', () => {
  let registry: DockerRegistry;
  beforeAll(async () => {
    writeFileSync(join(dir, 'htpasswd'), HTPASSWD);
    registry = await startDockerRegistry(join(dir, 'basic'), {
      htpasswd: { realm: 'test', path: join(dir, 'htpasswd') },
    });
    await skopeo(
      'copy',
      '--dest-tls-verify=false',
      `--dest-creds=ada:${PASSWORD}`,
      layout,
      `docker://${registry.host}/a:v1`,
    );
  });
  afterAll(() => registry.close());

  it('is not read without one, and the error says how to log in', async () => {
    const { service } = await newService(registry.host);
    await expect(service.pull(`${registry.host}/a:v1`, quiet)).rejects.toMatchObject({
      code: 'registry_denied',
      hint: expect.stringContaining('login'),
    });
  });

  it('takes the right one and refuses a wrong one, which is not kept', async () => {
    const { service, file } = await newService(registry.host);
    await expect(service.login(registry.host, 'ada', 'wrong', signal)).rejects.toMatchObject({
      code: 'registry_denied',
    });
    expect(await service.registries()).toEqual([]);
    await service.login(registry.host, 'ada', PASSWORD, signal);
    expect(await service.registries()).toEqual([registry.host]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await service.pull(`${registry.host}/a:v1`, quiet)).digest).toBe(image.digest);
    const pushed = await service.push(image.digest, `${registry.host}/b:v2`, quiet);
    expect(pushed).toEqual({ digest: image.digest, name: `${registry.host}/b:v2` });
    const seen = await skopeo(
      'inspect',
      '--tls-verify=false',
      `--creds=ada:${PASSWORD}`,
      `docker://${registry.host}/b:v2`,
    );
    expect(JSON.parse(seen).Digest).toBe(image.digest);
    expect(await service.logout(registry.host)).toBe(true);
    expect(await service.logout(registry.host)).toBe(false);
    await expect(service.push(image.digest, `${registry.host}/b:v3`, quiet)).rejects.toMatchObject({
      code: 'registry_denied',
    });
  });

  it('a password file that others can read is not used', async () => {
    const { service, file } = await newService(registry.host);
    writeFileSync(file, '{}', { mode: 0o644 });
    await expect(service.pull(`${registry.host}/a:v1`, quiet)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('0600'),
    });
  });
});

/** Signs what it is asked for, as a token server does, and remembers the questions. */
async function startTokenServer(key: string, certificate: string) {
  const asked: { scopes: string[]; authorization: string | undefined }[] = [];
  const x5c = [new X509Certificate(certificate).raw.toString('base64')];
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    const scopes = url.searchParams.getAll('scope');
    asked.push({ scopes, authorization: request.headers.authorization });
    const access = scopes.map((scope) => {
      const [type, name, actions = ''] = scope.split(':');
      return { type, name, actions: actions.split(',') };
    });
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: 'test',
      aud: url.searchParams.get('service'),
      sub: '',
      iat: now,
      nbf: now - 60,
      exp: now + 300,
      access,
    };
    const text = `${encode({ typ: 'JWT', alg: 'RS256', x5c })}.${encode(claims)}`;
    const token = `${text}.${createSign('RSA-SHA256').update(text).sign(key, 'base64url')}`;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ token }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => new Promise<void>((resolve) => void server.close(() => resolve()).closeAllConnections?.());
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked, close };
}

describe('a registry with a token server', () => {
  let registry: DockerRegistry;
  let tokens: Awaited<ReturnType<typeof startTokenServer>>;
  beforeAll(async () => {
    const [key, certificate] = [join(dir, 'token.key'), join(dir, 'token.crt')];
    const subject = ['-subj', '/CN=test', '-days', '2', '-nodes'];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-keyout', key, '-out', certificate, ...subject], {
      stdio: 'ignore',
    });
    tokens = await startTokenServer(readFileSync(key, 'utf8'), readFileSync(certificate, 'utf8'));
    const token = {
      realm: `http://${tokens.host}/token`,
      service: 'registry',
      issuer: 'test',
      rootcertbundle: certificate,
    };
    registry = await startDockerRegistry(join(dir, 'token'), { token });
    await skopeo('copy', '--dest-tls-verify=false', layout, `docker://${registry.host}/a:v1`);
  });
  afterAll(async () => {
    await registry.close();
    await tokens.close();
  });

  it('is read and written with tokens for what is done, and no more', async () => {
    const { service, credentials } = await newService(registry.host, tokens.host);
    await credentials.set(registry.host, { username: 'ada', password: 'p' });
    tokens.asked.length = 0;
    expect((await service.pull(`${registry.host}/a:v1`, quiet)).digest).toBe(image.digest);
    const basic = `Basic ${Buffer.from('ada:p').toString('base64')}`;
    expect(tokens.asked).toEqual([{ scopes: ['repository:a:pull'], authorization: basic }]);
    tokens.asked.length = 0;
    const events: TransferEvent[] = [];
    await service.push(image.digest, `${registry.host}/team/b:v1`, {
      onEvent: (event) => void events.push(event),
      signal,
    });
    const scopes = ['repository:team/b:pull,push', 'repository:a:pull'];
    expect(tokens.asked).toEqual([{ scopes, authorization: basic }]);
    expect(events.filter(({ state }) => state === 'mounted')).toHaveLength(2);
    expect(
      JSON.parse(await skopeo('inspect', '--tls-verify=false', `docker://${registry.host}/team/b:v1`)).Digest,
    ).toBe(image.digest);
  });

  it('whose token server is not named gets no token, since it has no HTTPS', async () => {
    const { service } = await newService(registry.host);
    await expect(service.pull(`${registry.host}/a:v1`, quiet)).rejects.toMatchObject({ code: 'registry_denied' });
  });
});

/** Passes bytes on to a registry and cuts connections after so many of them, so many times. */
async function startCuttingProxy(target: string, cuts: { after: number; left: number }) {
  const [host = '', port = ''] = target.split(':');
  const server: TcpServer = createTcpServer((client) => {
    const upstream = connect(Number(port), host);
    let passed = 0;
    client.on('error', () => upstream.destroy()).pipe(upstream);
    upstream.on('error', () => client.destroy());
    upstream.on('data', (chunk: Buffer) => {
      passed += chunk.length;
      client.write(chunk);
      if (passed < cuts.after || cuts.left === 0) return;
      cuts.left -= 1;
      client.resetAndDestroy();
      upstream.destroy();
    });
    upstream.on('end', () => client.end());
    client.on('close', () => upstream.destroy());
  });
  const own = await freePort();
  await new Promise<void>((resolve) => server.listen(own, '127.0.0.1', resolve));
  return { host: `127.0.0.1:${own}`, close: () => new Promise((resolve) => server.close(resolve)) };
}

describe('a connection that is cut', () => {
  it('goes on where it was as often as it gets further, until the image is there with its digest', async () => {
    const large = makeImage([{ 'large.bin': randomBytes(9_000_000) }]);
    const registry = await startDockerRegistry(join(dir, 'cut'));
    // More than the tries of one request: those that bring something do not count.
    const cuts = { after: 900_000, left: 8 };
    const proxy = await startCuttingProxy(registry.host, cuts);
    try {
      const source = writeLayout(join(dir, 'large'), large);
      await skopeo('copy', '--dest-tls-verify=false', source, `docker://${registry.host}/a:v1`);
      const { service } = await newService(proxy.host);
      const seen: number[] = [];
      const onEvent = ({ digest, state, bytes }: TransferEvent) => {
        if (state === 'fetching' && digest === large.layers[0]!.digest) seen.push(bytes);
      };
      expect((await service.pull(`${proxy.host}/a:v1`, { onEvent, signal })).digest).toBe(large.digest);
      expect(cuts.left).toBe(0);
      expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    } finally {
      await proxy.close();
      await registry.close();
    }
  });
});

it('the image of these tests has the digest that its bytes have', () => {
  expect(`sha256:${createHash('sha256').update(image.manifest).digest('hex')}`).toBe(image.digest);
});
