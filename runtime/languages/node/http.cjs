'use strict';
/** `http` calls: a web Request in, a Response (or a value) out, both streamed. */
const { WaferFailure } = require('./errors.cjs');
const { toHttp } = require('./results.cjs');

const BODYLESS = new Set(['GET', 'HEAD']);

/** The request body as a stream that takes bytes only when the function asks for them. */
function requestBody(call) {
  let waiting = null;
  let controller = null;
  const deliver = () => {
    if (waiting === null) return;
    const chunk = call.received.shift();
    if (chunk === undefined && !call.complete) return;
    const done = waiting;
    waiting = null;
    if (chunk === undefined) {
      controller.close();
    } else {
      controller.enqueue(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
      call.consumed(chunk.length);
    }
    done();
  };
  call.onBody = deliver;
  call.onCancel = () => {
    call.onBody = null;
    controller.error(new DOMException('The call was cancelled.', 'AbortError'));
    waiting?.();
  };
  return new ReadableStream(
    {
      start(made) {
        controller = made;
      },
      pull() {
        return new Promise((resolve) => {
          waiting = resolve;
          deliver();
        });
      },
      cancel() {
        call.onBody = null;
      },
    },
    { highWaterMark: 0 },
  );
}

function makeRequest(call) {
  const { method, path, query, headers } = call.head;
  const url = `http://function${path}${query === '' ? '' : `?${query}`}`;
  if (BODYLESS.has(method)) return new Request(url, { method, headers, signal: call.signal });
  return new Request(url, { method, headers, signal: call.signal, body: requestBody(call), duplex: 'half' });
}

async function runHttp(call) {
  try {
    const returned = await call.invoke(makeRequest(call));
    if (!isResponse(returned)) {
      const { head, bytes } = call.within(() => toHttp(returned, call.settings.maxResultBytes));
      await call.sendResult(head, bytes);
      return;
    }
    if (returned.status < 200) throw new WaferFailure('function_error', 'The function returned Response.error().');
    const head = { kind: 'http', status: returned.status, headers: [...returned.headers] };
    await sendResponse(call, head, returned, Number.POSITIVE_INFINITY);
  } catch (error) {
    call.failWith(error);
  }
}

/** Asks the tag first: to name the global `Response` loads Node's whole fetch, 15 ms that most calls need not pay. */
function isResponse(value) {
  return typeof value === 'object' && value?.[Symbol.toStringTag] === 'Response' && value instanceof Response;
}

/** Streams the body of a Response; a body that fails cuts the answer. */
async function sendResponse(call, head, response, maxBytes) {
  if (response.bodyUsed)
    throw new WaferFailure('function_error', 'The body of the returned Response was already read.');
  call.sendHead(head);
  const reader = response.body?.getReader();
  const stop = () => reader?.cancel(new DOMException('The call was cancelled.', 'AbortError')).catch(() => {});
  if (call.cancelled) stop();
  const chained = call.onCancel;
  call.onCancel = () => {
    chained?.();
    stop();
  };
  let sent = 0;
  while (reader !== undefined) {
    const { done, value } = await call.within(() => reader.read());
    if (done) break;
    if (!(value instanceof Uint8Array))
      throw new WaferFailure('function_error', 'The body of the Response gave something that is not bytes.');
    sent += value.length;
    if (sent > maxBytes) {
      stop();
      throw new WaferFailure('result_too_large', `The result has more than ${maxBytes} bytes, which is the limit.`);
    }
    if (!(await call.sendBody(value))) {
      stop();
      return;
    }
  }
  if (call.cancelled) throw new WaferFailure('function_error', 'The call was cancelled.');
  call.end();
}

module.exports = { runHttp, isResponse, sendResponse };
