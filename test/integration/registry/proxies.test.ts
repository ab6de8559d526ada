/** Pulls through a real proxy on loopback: plain HTTP is asked of it, HTTPS is tunnelled. */
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createHttp } from '../../../services/core/images/registry/http.ts';
import { REGISTRY_LIMITS } from '../../../services/core/images/registry/limits.ts';
import { readProxies } from '../../../services/core/images/registry/proxies.ts';

let proxy: Server;
let origin: Server;
let asked: string[];
let status = 200;
const at = (server: Server) => `127.0.0.1:${(server.address() as AddressInfo).port}`;
const listen = (server: Server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const signal = new AbortController().signal;

beforeAll(async () => {
  origin = createServer((request, response) => void response.end(`origin ${request.url}`));
  proxy = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim());
    if (status !== 200) return void response.writeHead(status).end();
    response.end('from the proxy');
  });
  // A tunnel leads to the origin, whatever its name: names of the test do not exist.
  proxy.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url}`);
    if (status !== 200) return void socket.end(`HTTP/1.1 ${status} No\r\n\r\n`);
    const to = connect((origin.address() as AddressInfo).port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Yes\r\n\r\n');
      to.pipe(socket).pipe(to);
    });
    for (const one of [to, socket]) one.on('error', () => {});
  });
  await Promise.all([listen(proxy), listen(origin)]);
});
afterAll(() => {
  for (const server of [proxy, origin]) {
    server.closeAllConnections();
    server.close();
  }
});
beforeEach(() => {
  asked = [];
  status = 200;
});

async function get(url: string, env: Record<string, string>, onlyPublic = false): Promise<string> {
  const http = createHttp({ ...REGISTRY_LIMITS, idleMs: 5_000 }, readProxies(env));
  try {
    const reply = await http.send({ method: 'GET', url: new URL(url), headers: {}, onlyPublic, signal });
    let text = `${reply.status} `;
    for await (const chunk of reply.body as AsyncIterable<Buffer>) text += chunk.toString();
    return text;
  } finally {
    http.close();
  }
}

describe('HTTP_PROXY', () => {
  it('is asked for plain HTTP, with its name and password, which go nowhere else', async () => {
    const env = { HTTP_PROXY: `http://ada:pass%20word@${at(proxy)}` };
    expect(await get('http://registry.example:5000/v2/', env)).toBe('200 from the proxy');
    const basic = Buffer.from('ada:pass word').toString('base64');
    expect(asked).toEqual([`GET http://registry.example:5000/v2/ Basic ${basic}`]);
  });

  it('is not asked for loopback, nor for what NO_PROXY names', async () => {
    expect(await get(`http://${at(origin)}/x`, { HTTP_PROXY: `http://${at(proxy)}` })).toBe('200 origin /x');
    expect(asked).toEqual([]);
  });

  it('that says no is an error with what to check', async () => {
    status = 403;
    await expect(get('https://registry.example/v2/', { HTTPS_PROXY: `http://${at(proxy)}` })).rejects.toMatchObject({
      code: 'registry_failed',
      message: expect.stringContaining('answered 403'),
      hint: expect.stringContaining('NO_PROXY'),
    });
    expect(asked).toEqual(['CONNECT registry.example:443']);
  });

  it('does not lead to addresses that are not public, where the registry chose the host', async () => {
    const env = { http_proxy: `http://${at(proxy)}`, https_proxy: `http://${at(proxy)}` };
    for (const url of ['https://169.254.169.254/x', 'http://10.0.0.1/x'])
      await expect(get(url, env, true)).rejects.toMatchObject({ code: 'registry_denied' });
    expect(asked).toEqual([]);
  });
});

describe('the settings', () => {
  const env = { http_proxy: 'proxy.example:3128', HTTPS_PROXY: 'http://secure.example:8080' };
  const through = (url: string, extra = {}) => readProxies({ ...env, ...extra }).forUrl(new URL(url))?.host ?? null;

  it.each([
    ['http://a.example/', {}, 'proxy.example:3128'],
    ['https://a.example/', {}, 'secure.example:8080'],
    ['http://a.example/', { HTTP_PROXY: 'http://other.example:1' }, 'proxy.example:3128'],
    ['http://a.example/', { http_proxy: '' }, null],
    ['http://localhost:5000/', {}, null],
    ['http://127.0.0.2/', {}, null],
    ['http://[::1]/', {}, null],
    ['http://a.example/', { NO_PROXY: '*' }, null],
    ['http://a.example/', { NO_PROXY: 'b.example, a.example' }, null],
    ['http://deep.a.example/', { no_proxy: '.a.example' }, null],
    ['http://xa.example/', { no_proxy: 'a.example' }, 'proxy.example:3128'],
    ['http://a.example:5000/', { no_proxy: 'a.example:5000' }, null],
    ['http://a.example/', { no_proxy: 'a.example:5000' }, 'proxy.example:3128'],
    ['http://10.1.2.3/', { no_proxy: '10.0.0.0/8' }, null],
    ['http://11.1.2.3/', { no_proxy: '10.0.0.0/8' }, 'proxy.example:3128'],
  ])('%s with %j goes through %s', (url, extra, host) => {
    expect(through(url, extra)).toBe(host);
  });

  it('that are no proxy are refused at the start', () => {
    expect(() => readProxies({ http_proxy: 'socks5://x:1' })).toThrow(/HTTP_PROXY is not the address/);
  });
});
