/** TCP from loopback addresses of the host to 127.0.0.1 inside. Listeners exist only while the container runs. */
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { PortBinding } from '../../core/containers/types.ts';
import { isErrno, WaferError } from '../../core/errors.ts';

export interface OpenPorts {
  /** With the host ports that were taken. */
  readonly bindings: PortBinding[];
  /** From now on connections go to the program; until then they wait. */
  connectWith(connect: (port: number) => Promise<Duplex>): void;
  /** Also ends what is connected. Idempotent. */
  close(): void;
}

const MAX_CONNECTIONS = 1024;

/** All or none. @throws WaferError `container_start_failed` for a port that is taken */
export async function openPorts(wanted: readonly PortBinding[]): Promise<OpenPorts> {
  const servers: Server[] = [];
  const open = new Set<Socket>();
  let begin: (connect: (port: number) => Promise<Duplex>) => void = () => undefined;
  const ready = new Promise<(port: number) => Promise<Duplex>>((resolve) => {
    begin = resolve;
  });
  const close = () => {
    for (const server of servers) server.close();
    for (const socket of open) socket.destroy();
  };
  const bindings: PortBinding[] = [];
  try {
    for (const binding of wanted) {
      const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
        open.add(socket);
        socket.on('error', () => socket.destroy());
        socket.once('close', () => open.delete(socket));
        void ready.then((connect) => forward(socket, () => connect(binding.containerPort)));
      });
      server.maxConnections = MAX_CONNECTIONS;
      await listen(server, binding);
      servers.push(server);
      const address = server.address();
      const hostPort = typeof address === 'object' && address !== null ? address.port : binding.hostPort;
      bindings.push({ ...binding, hostPort });
    }
  } catch (error) {
    close();
    throw error;
  }
  return { bindings, connectWith: begin, close };
}

/** A port that nobody listens on inside looks like one: the connection is reset. */
async function forward(socket: Socket, connect: () => Promise<Duplex>): Promise<void> {
  if (socket.destroyed) return;
  try {
    const inside = await connect();
    inside.on('error', () => socket.destroy());
    if (socket.destroyed) return void inside.destroy();
    socket.once('close', () => inside.destroy());
    inside.once('close', () => socket.destroySoon());
    // Each end that closes closes only its own direction.
    socket.pipe(inside);
    inside.pipe(socket);
  } catch {
    socket.resetAndDestroy();
  }
}

async function listen(server: Server, { hostAddress, hostPort }: PortBinding): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(hostPort, hostAddress, resolve);
    });
  } catch (cause) {
    const why = isErrno(cause, 'EADDRINUSE')
      ? 'is in use by another program'
      : isErrno(cause, 'EACCES')
        ? 'is only for root'
        : `can not be used: ${(cause as Error).message}`;
    throw new WaferError('container_start_failed', `Port ${hostPort} on ${hostAddress} ${why}.`, {
      cause,
      hint: 'Publish another host port, or 0 for a free one.',
      details: { hostAddress, hostPort },
    });
  }
}
