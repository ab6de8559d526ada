/**
 * The floor of a warm call: a bare fastify that hands each body to a bare Node process over a socket and answers with what
 * comes back. No sandbox, no record, no check; frames are [length u32][call u32][body]. Prints its address.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { fastify } from 'fastify';
import { readFrames, writeFrame } from './hop-frames.mjs';

const program = fileURLToPath(new URL('./hop-child.mjs', import.meta.url));
const child = spawn(process.execPath, [program], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
const socket = child.stdio[3];
const waiting = new Map();
let calls = 0;
readFrames(socket, (call, body) => {
  waiting.get(call)(body);
  waiting.delete(call);
});

const server = fastify();
server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
server.post('/', (request, reply) => {
  const call = ++calls;
  waiting.set(call, (body) => reply.header('content-type', 'application/json').send(body));
  writeFrame(socket, call, request.body);
});
process.stdout.write(`${await server.listen({ port: 0, host: '127.0.0.1' })}\n`);
process.on('SIGTERM', () => {
  child.kill();
  process.exit(0);
});
