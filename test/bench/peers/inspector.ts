/** Looks into a Node process that was started with `--inspect`: what it keeps after its garbage was collected. */
import { once } from 'node:events';
import { WebSocket } from 'ws';

export interface HeapUse {
  heapUsed: number;
  /** Outside of the heap: buffers and what native code holds for objects. */
  external: number;
}

/** @param output what the process has printed */
export async function readHeap(output: string): Promise<HeapUse> {
  const address = /Debugger listening on (ws:\/\/\S+)/.exec(output)?.[1];
  if (address === undefined) throw new Error('the process listens to no inspector');
  const socket = new WebSocket(address);
  await once(socket, 'open');
  let next = 1;
  const send = async (method: string, params: object = {}): Promise<{ result?: { value?: unknown } }> => {
    const id = next++;
    socket.send(JSON.stringify({ id, method, params }));
    for (;;) {
      const [data] = (await once(socket, 'message')) as [Buffer];
      const message = JSON.parse(data.toString()) as { id?: number; result?: { result?: { value?: unknown } } };
      if (message.id === id) return message.result ?? {};
    }
  };
  try {
    // Finalizers of the first round free what the second collects.
    for (let round = 0; round < 3; round++) await send('HeapProfiler.collectGarbage');
    const expression = 'JSON.stringify(process.memoryUsage())';
    const { result } = await send('Runtime.evaluate', { expression, returnByValue: true });
    return JSON.parse(String(result?.value)) as HeapUse;
  } finally {
    socket.terminate();
  }
}
