/** Callbacks over a real Redis, a real queue and a real receiver; only the clock and what names resolve to are the test's. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WaferError } from '../../../services/core/errors.ts';
import type { FunctionVersion } from '../../../services/core/functions/types.ts';
import type { AcceptRequest, DurableRecord } from '../../../services/core/invocations/durable/types.ts';
import { FINAL_STATES } from '../../../services/core/invocations/durable/types.ts';
import { createAddressGuard, type Resolve } from '../../../services/core/triggers/callbacks/addresses.ts';
import { createCallbacks } from '../../../services/core/triggers/callbacks/index.ts';
import { createPoster } from '../../../services/core/triggers/callbacks/post.ts';
import { createSender, type SenderDeps } from '../../../services/core/triggers/callbacks/sender.ts';
import type { Callbacks, Delivery } from '../../../services/core/triggers/callbacks/types.ts';
import { eventually, silentLog } from '../../helpers/redis.ts';
import { newTextBox } from '../../helpers/text-box.ts';
import { type DurableLab, failed, ok, openDurableLab } from '../durable/lab.ts';

export interface Got {
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

type Answer = (got: Got, response: ServerResponse) => void;

/** A receiver at 127.0.0.1; answers 204 unless a test says otherwise. */
export async function openReceiver() {
  const got: Got[] = [];
  let answer: Answer = (_got, response) => response.writeHead(204).end();
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const one = { path: request.url ?? '', headers: request.headers, body: Buffer.concat(parts) };
      got.push(one);
      answer(one, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}/hook`,
    got,
    answer(next: Answer) {
      answer = next;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export interface CallbackLab {
  durable: DurableLab;
  receiver: Awaited<ReturnType<typeof openReceiver>>;
  callbacks: Callbacks;
  /** Ms that the senders' clock is ahead. */
  clock: { ahead: number };
  /** Functions by name: what their versions say of followers. */
  functions: Map<string, Pick<FunctionVersion['config'], 'onSuccess' | 'onFailure'>>;
  /** Another process that sends. */
  sender(more?: Partial<SenderDeps>): ReturnType<typeof createSender>;
  /** Accepted, and run to its end. */
  run(request?: Partial<AcceptRequest>): Promise<DurableRecord>;
  /** Until nothing is due. */
  send(): Promise<void>;
  delivery(id: string): Promise<Delivery>;
  records(): Promise<DurableRecord[]>;
  close(): Promise<void>;
}

export async function openCallbackLab(resolve?: Resolve): Promise<CallbackLab> {
  const durable = await openDurableLab();
  const receiver = await openReceiver();
  const { redis } = durable.redis.connection;
  const clock = { ahead: 0 };
  const functions: CallbackLab['functions'] = new Map();
  const now = () => Date.now() + clock.ahead;
  const guard = createAddressGuard({ allowed: [`127.0.0.1:${receiver.port}`], ...(resolve && { resolve }) });
  const poster = createPoster({ guard, timeoutMs: 2_000 });
  const { calls } = durable;
  const find = async (functionName: string) => {
    const config = functions.get(functionName);
    if (config === undefined) throw new WaferError('function_not_found', `There is no function "${functionName}".`);
    return { functionName, number: 1, config } as FunctionVersion;
  };
  const box = newTextBox();
  const deps = { redis, box, calls, functions: { resolve: find }, poster, log: silentLog, now, random: () => 0.5 };
  const callbacks = createCallbacks({ redis, calls, guard, box, now });
  durable.work(async ({ event }) => {
    const { fail, answer = { done: true } } = (JSON.parse(String(event)) ?? {}) as { fail?: string; answer?: unknown };
    return fail === undefined ? ok(JSON.stringify(answer)) : { ...failed(fail), final: true };
  });
  const sender = createSender(deps);
  const records = async () => (await calls.list({ limit: 1000 })).records.reverse();
  return {
    durable,
    receiver,
    callbacks,
    clock,
    functions,
    sender: (more = {}) => createSender({ ...deps, ...more }),
    records,
    async run(request = {}) {
      const { id } = await calls.accept(durable.request(request));
      const ended = (record: DurableRecord) => FINAL_STATES.includes(record.state) && record;
      return eventually(`${id} has ended`, async () => ended(await calls.get(id)));
    },
    async send() {
      while ((await sender.take()) > 0) await sender.settled();
      await sender.settled();
    },
    async delivery(id) {
      const [first, ...more] = await callbacks.deliveries(id);
      if (first === undefined || more.length > 0) throw new Error(`${id} has ${more.length} deliveries more than one`);
      return first;
    },
    async close() {
      await poster.close();
      await receiver.close();
      await durable.close();
    },
  };
}
