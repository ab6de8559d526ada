/** The least that accepts over HTTP: each request is a job in BullMQ; prints its address. Argument: the socket of Redis. */
import { Queue } from 'bullmq';
import { fastify } from 'fastify';
import { Redis } from 'ioredis';

const connection = new Redis({ path: process.argv[2], maxRetriesPerRequest: null });
const defaultJobOptions = { removeOnComplete: true, removeOnFail: true };
const queue = new Queue('bench-add', { connection, prefix: '{bench}', defaultJobOptions });
const server = fastify();
server.post('/', async (request, reply) => {
  const { id } = await queue.add('call', request.body, { priority: 1 });
  return reply.code(202).send({ id, state: 'accepted' });
});
process.stdout.write(`${await server.listen({ port: 0, host: '127.0.0.1' })}\n`);
process.on('SIGTERM', async () => {
  await queue.obliterate({ force: true });
  process.exit(0);
});
