'use strict';
/** `event` calls: JSON in, JSON or bytes out. */
const { WaferFailure } = require('./errors.cjs');
const { isResponse, sendResponse } = require('./http.cjs');
const { toValue } = require('./results.cjs');

function parseEvent(call) {
  const text = (call.received.length === 1 ? call.received[0] : Buffer.concat(call.received)).toString();
  call.received = [];
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new WaferFailure('function_error', `The event is not valid JSON: ${error.message}`);
  }
}

async function runEvent(call) {
  try {
    const returned = await call.invoke(parseEvent(call));
    if (isResponse(returned)) {
      await sendEventResponse(call, returned);
      return;
    }
    const { contentType, bytes } = call.within(() => toValue(returned, call.settings.maxResultBytes));
    await call.sendResult({ kind: 'value', contentType }, bytes);
  } catch (error) {
    call.failWith(error);
  }
}

/** A handler written for HTTP that is called with an event: its answer's body is the value. */
async function sendEventResponse(call, response) {
  if (!response.ok) {
    const text = (await response.text()).slice(0, 1024);
    throw new WaferFailure('function_error', `The function answered with status ${response.status}: ${text}`);
  }
  const contentType = response.headers.get('content-type') ?? 'application/octet-stream';
  await sendResponse(call, { kind: 'value', contentType }, response, call.settings.maxResultBytes);
}

module.exports = { runEvent };
