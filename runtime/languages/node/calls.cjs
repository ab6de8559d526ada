'use strict';
/** The calls in flight: their request bodies, their result windows, and how they end. */
const { AsyncLocalStorage } = require('node:async_hooks');
const { CREDIT_BYTES, encode, FRAME_BODY_BYTES, TO_HOST, TO_RUNTIME, WINDOW_BYTES } = require('./channel.cjs');
const { describe, WaferFailure } = require('./errors.cjs');
const { runEvent } = require('./event.cjs');
const { runHttp } = require('./http.cjs');

function openCalls(channel) {
  const storage = new AsyncLocalStorage();
  const open = new Map();
  let last = 0;
  let bound = null;
  let onDrained = null;
  let beforeEnd = () => {};

  const onEnded = (call) => {
    open.delete(call.number);
    if (onDrained !== null && open.size === 0) onDrained();
  };

  return {
    bind(settings, handler) {
      bound = { settings, handler };
    },
    /** Number of the call whose code runs now; 0 outside any, or when it has ended. */
    current: () => {
      const call = storage.getStore();
      return call === undefined || call.ended ? 0 : call.number;
    },
    beforeEnd(listener) {
      beforeEnd = listener;
    },
    open(number, head) {
      if (number <= last) channel.die(`call ${number} comes again`);
      last = number;
      const call = new Call(number, head, bound, { channel, storage, beforeEnd, onEnded });
      open.set(number, call);
      if (head.kind === 'http') runHttp(call);
    },
    frame(type, number, payload) {
      const call = open.get(number);
      if (call !== undefined) call.frame(type, payload);
      else if (number > last || number === 0) channel.die(`a frame of the unknown call ${number}`);
    },
    failAll(problem) {
      for (const call of [...open.values()]) call.fail({ code: 'function_error', ...problem });
    },
    drain(done) {
      onDrained = done;
      if (open.size === 0) done();
    },
  };
}

class Call {
  constructor(number, head, bound, { channel, storage, beforeEnd, onEnded }) {
    this.number = number;
    this.head = head;
    this.settings = bound.settings;
    this.ended = false;
    this.cancelled = false;
    /** Request body bytes that came and were not taken yet; `null` at the end of the list: complete. */
    this.received = [];
    this.complete = false;
    this.onBody = null;
    this.onCancel = null;
    this.handler = bound.handler;
    this.channel = channel;
    this.storage = storage;
    this.beforeEnd = beforeEnd;
    this.onEnded = onEnded;
    this.owed = 0;
    this.window = WINDOW_BYTES;
    this.onRoom = null;
    this.controller = null;
  }

  /** Made when somebody asks: most handlers never look at it. */
  get signal() {
    if (this.controller === null) {
      this.controller = new AbortController();
      if (this.cancelled) this.controller.abort();
    }
    return this.controller.signal;
  }

  frame(type, payload) {
    if (type === TO_RUNTIME.body) this.received.push(payload);
    else if (type === TO_RUNTIME.end) this.complete = true;
    else if (type === TO_RUNTIME.cancel) return this.cancel();
    else return this.addCredit(payload.readUInt32BE(0));
    if (this.head.kind !== 'event') this.onBody?.();
    else if (this.complete) runEvent(this);
    else this.consumed(payload.length);
  }

  /** The handler, inside the call's own context. May throw whatever the function throws. */
  invoke(event) {
    const { head, settings } = this;
    const call = this;
    const context = {
      invocationId: head.invocationId,
      functionName: settings.functionName,
      version: settings.version,
      deadlineMs: head.deadlineMs,
      attempt: head.attempt,
      traceparent: head.traceparent,
      tracestate: head.tracestate,
      get signal() {
        return call.signal;
      },
    };
    return this.storage.run(this, this.handler, event, context);
  }

  /** Runs `work` inside the call's context, for code of the function that runs after its handler. */
  within(work) {
    return this.storage.run(this, work);
  }

  cancel() {
    this.cancelled = true;
    this.controller?.abort();
    this.onCancel?.();
    // An event that never came whole will never be handled.
    if (this.head.kind === 'event' && !this.complete) {
      this.fail({ code: 'function_error', message: 'The call was cancelled before its body was complete.' });
    }
  }

  /** The function has consumed that many bytes of the request body. */
  consumed(bytes) {
    this.owed += bytes;
    if (this.owed < CREDIT_BYTES || this.complete || this.ended) return;
    this.channel.sendCredit(this.number, this.owed);
    this.owed = 0;
  }

  addCredit(bytes) {
    this.window += bytes;
    const wake = this.onRoom;
    this.onRoom = null;
    wake?.();
  }

  sendHead(head) {
    this.channel.sendJson(TO_HOST.result, this.number, head);
  }

  /** Sends body bytes as the window lets them; false when the call ended meanwhile. */
  async sendBody(bytes) {
    let at = 0;
    while (at < bytes.length) {
      while (this.window === 0 && !this.ended)
        await new Promise((resolve) => {
          this.onRoom = resolve;
        });
      if (this.ended) return false;
      const size = Math.min(this.window, FRAME_BODY_BYTES, bytes.length - at);
      this.window -= size;
      this.channel.send(encode(TO_HOST.body, this.number, bytes.subarray(at, at + size)));
      at += size;
    }
    return !this.ended;
  }

  /** A whole result: one write when it is small. */
  async sendResult(head, bytes) {
    if (this.ended) return;
    if (bytes.length > FRAME_BODY_BYTES) {
      this.sendHead(head);
      if (await this.sendBody(bytes)) this.end();
      return;
    }
    const frames = [encode(TO_HOST.result, this.number, Buffer.from(JSON.stringify(head)))];
    if (bytes.length > 0) frames.push(encode(TO_HOST.body, this.number, bytes));
    this.end(frames);
  }

  end(frames = []) {
    if (this.ended) return;
    this.beforeEnd(this.number);
    frames.push(encode(TO_HOST.end, this.number));
    this.channel.send(frames.length === 1 ? frames[0] : Buffer.concat(frames));
    this.settle();
  }

  fail(problem) {
    if (this.ended) return;
    this.beforeEnd(this.number);
    this.channel.sendJson(TO_HOST.error, this.number, problem);
    this.settle();
  }

  /** `error` is what function code threw, or a WaferFailure. */
  failWith(error) {
    const code = error instanceof WaferFailure ? error.waferCode : 'function_error';
    this.fail({ code, ...describe(error) });
  }

  settle() {
    this.ended = true;
    this.received = [];
    this.onRoom?.();
    this.onEnded(this);
  }
}

module.exports = { openCalls };
