/**
 * The host's end of one runtime's control socket.
 *
 * Everything that arrives is hostile. A violation never becomes an exception: the
 * connection ends its calls with `protocol_error`, closes the socket and says so once.
 */
import type { Duplex, Readable } from 'node:stream';
import { HostCall } from './call.ts';
import { encodeFrame, encodeJson, FrameDecoder, LIMITS, RULES_TO_HOST, TO_HOST, TO_RUNTIME } from './frames.ts';
import { parseCodeCache, parseInitError, parseObject, parseReady } from './payloads.ts';
import {
  type CancelSignal,
  type InitResult,
  type InitSettings,
  type ReadyInfo,
  type RuntimeCall,
  type RuntimeCallHead,
  type RuntimeConnection,
  type RuntimeFailure,
  RuntimeGoneError,
  type RuntimeOptions,
} from './types.ts';

type CloseReason = 'closed' | 'protocol_error';

/** A sender marks a cut line with this. */
const CUT_MARK_BYTES = Buffer.byteLength('…');
const DEFAULT_LOG_LINE_BYTES = 65_536;

/** The connection owns the socket from here on. */
export function openRuntime(socket: Duplex, options: RuntimeOptions): RuntimeConnection {
  return new Connection(socket, options);
}

/** A promise with its handles; Node 20 has no `Promise.withResolvers`. */
function makeDeferred<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((ok, fail) => {
    resolve = ok;
    reject = fail;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}

class Connection implements RuntimeConnection {
  readonly ready: Promise<ReadyInfo>;
  readonly #socket: Duplex;
  readonly #options: RuntimeOptions;
  readonly #decoder: FrameDecoder;
  readonly #ready = makeDeferred<ReadyInfo>();
  readonly #init = makeDeferred<InitResult>();
  readonly #calls = new Map<number, HostCall>();
  readonly #recent = new Set<number>();
  #phase: 'booting' | 'blank' | 'binding' | 'bound' | 'failed' = 'booting';
  #settings: InitSettings | null = null;
  #lastCall = 0;
  #isCorked = false;
  #gone: { reason: CloseReason; message: string } | null = null;
  #socketError = '';

  constructor(socket: Duplex, options: RuntimeOptions) {
    this.#socket = socket;
    this.#options = options;
    this.ready = this.#ready.promise;
    this.#decoder = new FrameDecoder(RULES_TO_HOST, (type, call, payload) => this.#onFrame(type, call, payload));
    socket.on('data', this.#onData);
    socket.on('error', (error) => {
      this.#socketError = `: ${error.message}`;
    });
    socket.on('end', () => this.#close('closed', 'The runtime closed its control socket.'));
    socket.on('close', () => this.#close('closed', `The control socket was closed${this.#socketError}.`));
  }

  get inFlight(): number {
    return this.#calls.size;
  }

  get closed(): boolean {
    return this.#gone !== null;
  }

  init(settings: InitSettings): Promise<InitResult> {
    if (this.#gone !== null) return this.#init.promise;
    if (this.#phase !== 'blank') throw new Error(`init() while the runtime is ${this.#phase}, not blank.`);
    const frame = encodeJson(TO_RUNTIME.init, 0, settings);
    this.#phase = 'binding';
    this.#settings = settings;
    this.#write(frame);
    return this.#init.promise;
  }

  call(head: RuntimeCallHead, body: Buffer | Readable | null, signal: CancelSignal): RuntimeCall {
    if (this.#phase !== 'bound' && this.#gone === null) throw new Error(`call() while the runtime is ${this.#phase}.`);
    this.#lastCall += 1;
    const call = new HostCall({
      number: this.#lastCall,
      invocationId: head.invocationId,
      highWaterMark: this.#options.highWaterMark ?? LIMITS.bodyFrameBytes,
      maxResultBytes: this.#settings?.maxResultBytes ?? 0,
      write: (bytes) => this.#write(bytes),
      onEnded: (ended) => this.#onEnded(ended),
    });
    if (this.#gone !== null) {
      call.fail(this.#failure(this.#gone));
      return call;
    }
    this.#calls.set(call.number, call);
    try {
      call.start(head, body, signal);
    } catch (error) {
      this.#calls.delete(call.number);
      throw error;
    }
    return call;
  }

  shutdown(): void {
    this.#write(encodeFrame(TO_RUNTIME.shutdown, 0));
  }

  destroy(): void {
    this.#close('closed', 'The host closed the control socket.');
  }

  /** What several calls have to say in one turn of the loop leaves in one system call. */
  #write(bytes: Buffer): void {
    if (this.#gone !== null || !this.#socket.writable) return;
    if (this.#calls.size > 1 && !this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      setImmediate(this.#uncork);
    }
    this.#socket.write(bytes);
  }

  readonly #uncork = (): void => {
    this.#isCorked = false;
    this.#socket.uncork();
  };

  readonly #onData = (chunk: Buffer): void => {
    if (this.#gone !== null) return;
    const problem = this.#decoder.push(chunk);
    if (problem !== null) this.#close('protocol_error', `The runtime broke the protocol: ${problem}.`);
  };

  #onFrame(type: number, number: number, payload: Buffer): string | null {
    // A listener may have destroyed the connection in the middle of a chunk.
    if (this.#gone !== null) return null;
    if (type === TO_HOST.ready) return this.#onReady(payload);
    if (this.#phase === 'booting') return 'a frame came before READY';
    if (type === TO_HOST.log) return this.#onLog(number, payload);
    if (type === TO_HOST.initOk) return this.#onInitOk(payload);
    if (type === TO_HOST.initError) return this.#onInitError(payload);
    const call = this.#calls.get(number);
    if (call !== undefined) return call.frame(type, payload);
    return this.#recent.has(number) ? null : `a frame of the unknown call ${number}`;
  }

  #onReady(payload: Buffer): string | null {
    if (this.#phase !== 'booting') return 'a second READY';
    const info = parseReady(payload);
    if (typeof info === 'string') return info;
    this.#phase = 'blank';
    this.#ready.resolve(info);
    return null;
  }

  #onInitOk(payload: Buffer): string | null {
    if (this.#phase !== 'binding') return `INIT_OK while ${this.#phase}`;
    const fields = parseObject('INIT_OK', payload);
    if (typeof fields === 'string') return fields;
    this.#phase = 'bound';
    const codeCache = parseCodeCache(fields);
    this.#init.resolve(codeCache === undefined ? { kind: 'ok' } : { kind: 'ok', codeCache });
    return null;
  }

  #onInitError(payload: Buffer): string | null {
    if (this.#phase !== 'binding') return `INIT_ERROR while ${this.#phase}`;
    const failure = parseInitError(payload);
    if (typeof failure === 'string') return failure;
    this.#phase = 'failed';
    this.#init.resolve(failure);
    return null;
  }

  #onLog(number: number, payload: Buffer): string | null {
    const stream = payload[0] === 1 ? 'stdout' : 'stderr';
    if (payload[0] !== 1 && payload[0] !== 2) return 'LOG names no stream';
    const limit = (this.#settings?.maxLogLineBytes ?? DEFAULT_LOG_LINE_BYTES) + CUT_MARK_BYTES;
    if (payload.length - 1 > limit) return `LOG has a line of ${payload.length - 1} bytes; allowed are ${limit}`;
    if (payload.includes(0x0a)) return 'LOG has more than one line';
    const call = this.#calls.get(number);
    if (number !== 0 && call === undefined && !this.#recent.has(number)) return `LOG of the unknown call ${number}`;
    this.#options.onLog(call === undefined ? 0 : number, call?.invocationId, stream, payload.toString('utf8', 1));
    return null;
  }

  #onEnded(call: HostCall): void {
    this.#calls.delete(call.number);
    this.#recent.add(call.number);
    if (this.#recent.size <= LIMITS.recentCalls) return;
    const oldest = this.#recent.values().next();
    if (!oldest.done) this.#recent.delete(oldest.value);
  }

  #failure(gone: { reason: CloseReason; message: string }): RuntimeFailure<'connection_closed' | 'protocol_error'> {
    const code = gone.reason === 'closed' ? 'connection_closed' : 'protocol_error';
    return { kind: 'error', code, message: gone.message };
  }

  #close(reason: CloseReason, message: string): void {
    if (this.#gone !== null) return;
    this.#gone = { reason, message };
    this.#socket.off('data', this.#onData);
    this.#socket.destroy();
    const failure = this.#failure(this.#gone);
    this.#ready.reject(new RuntimeGoneError(reason, message));
    this.#init.resolve(failure);
    for (const call of [...this.#calls.values()]) call.fail(failure);
    this.#options.onClose(reason, message);
  }
}
