/**
 * Runs inside a sandbox, bundled: ordinary clients, each with the name or address that it is
 * given. One JSON line an answer, in the order in which they are asked for.
 */
import { readFileSync } from 'node:fs';
import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';
import { connect } from 'node:net';
import { Redis } from 'ioredis';

export type Ask =
  | { kind: 'http' | 'https' | 'redis' | 'tcp'; host: string; port: number }
  | { kind: 'look' }
  /** Opens so many and says nothing, until no more than `most` are left; says how many. */
  | { kind: 'idle'; host: string; port: number; count: number; most: number }
  | { kind: 'many'; hosts: string[]; port: number };

const asks = JSON.parse(process.argv[2] ?? '[]') as Ask[];

const web = (get: typeof getHttp, url: string, options: object) =>
  new Promise<string>((resolve, reject) => {
    const request = get(url, { agent: false, ...options }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
      response.on('error', reject);
    });
    request.on('error', reject);
  });

async function redis(host: string, port: number): Promise<string> {
  const client = new Redis({ host, port, lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: 0 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.set('from', 'inside');
    return String(await client.get('from'));
  } finally {
    client.disconnect();
  }
}

/** What a server says first, and what it says to our end. */
const tcp = (host: string, port: number) =>
  new Promise<string>((resolve, reject) => {
    let text = '';
    const socket = connect({ host, port, allowHalfOpen: true }, () => socket.end('GET / HTTP/1.0\r\n\r\n'));
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('end', () => resolve(text.split('\r\n\r\n').at(-1) ?? ''));
    socket.on('error', reject);
  });

const read = (path: string) => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'failed';
  }
};

/** What there is of a network at all. */
const look = () =>
  JSON.stringify({
    resolv: read('/etc/resolv.conf'),
    routes: read('/proc/self/net/route'),
    routes6: read('/proc/self/net/ipv6_route'),
    tcp: read('/proc/self/net/tcp'),
    tcp6: read('/proc/self/net/tcp6'),
    udp: read('/proc/self/net/udp'),
  });

const many = async (hosts: string[], port: number) => {
  const answers = await Promise.all(
    hosts.map((host) => tcp(host, port).catch((error: NodeJS.ErrnoException) => `!${error.code ?? error.message}`)),
  );
  return JSON.stringify(answers);
};

async function idle(host: string, port: number, count: number, most: number): Promise<string> {
  const sockets = Array.from({ length: count }, () => connect({ host, port }).on('error', () => {}));
  const open = () => sockets.filter(({ destroyed }) => !destroyed).length;
  for (let round = 0; round < 1_200 && open() > most; round++) await new Promise((done) => setTimeout(done, 50));
  const left = open();
  for (const socket of sockets) socket.destroy();
  return String(left);
}

function answer(ask: Ask): Promise<string> | string {
  if (ask.kind === 'look') return look();
  if (ask.kind === 'idle') return idle(ask.host, ask.port, ask.count, ask.most);
  if (ask.kind === 'many') return many(ask.hosts, ask.port);
  const { kind, host, port } = ask;
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (kind === 'http') return web(getHttp, `http://${authority}/`, {});
  if (kind === 'https') return web(getHttps as typeof getHttp, `https://${authority}/`, { ca: process.env['CA'] });
  return kind === 'redis' ? redis(host, port) : tcp(host, port);
}

for (const ask of asks) {
  const said = await Promise.resolve()
    .then(() => answer(ask))
    .catch((error: NodeJS.ErrnoException) => `!${error.code ?? error.message}`);
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
process.exit(0);
