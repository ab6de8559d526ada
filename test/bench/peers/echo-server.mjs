/** The least that answers JSON over HTTP with the framework that the API uses; prints its address. */
import { fastify } from 'fastify';

const server = fastify();
server.post('/', async (request) => request.body);
process.stdout.write(`${await server.listen({ port: 0, host: '127.0.0.1' })}\n`);
process.on('SIGTERM', () => process.exit(0));
