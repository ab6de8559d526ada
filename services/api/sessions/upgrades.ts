/**
 * Who gets a request that asks for another protocol. Only a WebSocket at a session's address is
 * one; Node would otherwise take the body from every request with `Upgrade: h2c`, which some
 * HTTP clients send with all they say. Those go back to where they came from, without that header.
 */
import { EventEmitter } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';

const SESSION = /^\/v1\/containers\/[^/?]+\/(?:attach|exec)(?:\?|$)/;
const OF_THE_UPGRADE = new Set(['upgrade', 'http2-settings', 'connection']);

/** Emits `upgrade` for sessions only. */
export function sessionUpgrades(server: Server): EventEmitter {
  const sessions = new EventEmitter();
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (isSession(request)) sessions.emit('upgrade', request, socket, head);
    else giveBack(server, request, socket, head);
  });
  return sessions;
}

function isSession({ method, url, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket' && SESSION.test(url ?? '');
}

/** As a connection whose first bytes are this request. Its headers were read as latin-1, so they are written so. */
function giveBack(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders, headers } = request;
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (!OF_THE_UPGRADE.has(name.toLowerCase())) lines.push(`${name}: ${rawHeaders[at + 1]}`);
  }
  const connection = (headers.connection ?? '')
    .split(',')
    .filter((word) => !OF_THE_UPGRADE.has(word.trim().toLowerCase()));
  if (connection.length > 0) lines.push(`Connection: ${connection.join(',').trim()}`);
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}
