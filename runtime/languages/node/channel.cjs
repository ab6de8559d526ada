'use strict';
/** File descriptor 3: frames to and from the host. The host is trusted; what it gets wrong ends the process. */
const { writeSync } = require('node:fs');
const { Socket } = require('node:net');

const TO_RUNTIME = { init: 1, call: 2, body: 3, end: 4, cancel: 5, credit: 6, shutdown: 7 };
const TO_HOST = {
  ready: 0x81,
  initOk: 0x82,
  initError: 0x83,
  result: 0x84,
  body: 0x85,
  end: 0x86,
  error: 0x87,
  log: 0x88,
  credit: 0x89,
};
const WINDOW_BYTES = 262_144;
const CREDIT_BYTES = 65_536;
const FRAME_BODY_BYTES = 65_536;

const HEAD_BYTES = 9;
const MAX_PAYLOAD = 1_048_576;
const EXIT_PROTOCOL = 70;
/** How long the last frames may take to leave before the process ends without them. */
const LAST_WORDS_MS = 2000;

// Function code may replace globals; the channel keeps what it needs.
const exit = process.exit.bind(process);

function encode(type, call, payload) {
  const length = payload === undefined ? 0 : payload.length;
  const frame = Buffer.allocUnsafe(HEAD_BYTES + length);
  frame.writeUInt32BE(length, 0);
  frame[4] = type;
  frame.writeUInt32BE(call, 5);
  if (length > 0) frame.set(payload, HEAD_BYTES);
  return frame;
}

function openChannel(fd) {
  const socket = new Socket({ fd, readable: true, writable: true });

  const channel = {
    /** Bytes that wait for the host. */
    get pending() {
      return socket.writableLength;
    },
    send: (frame) => {
      socket.write(frame);
    },
    onDrain: (listener) => socket.once('drain', listener),
    sendJson: (type, call, value) => channel.send(encode(type, call, Buffer.from(JSON.stringify(value)))),
    sendCredit(call, bytes) {
      const payload = Buffer.allocUnsafe(4);
      payload.writeUInt32BE(bytes, 0);
      channel.send(encode(TO_HOST.credit, call, payload));
    },
    exitWhenSent(status) {
      setTimeout(() => exit(status), LAST_WORDS_MS);
      socket.end(() => exit(status));
    },
    die(why) {
      writeSync(2, `wafer: the host broke the protocol: ${why}\n`);
      exit(EXIT_PROTOCOL);
    },
    /** Takes bytes from the host, in pieces as they come. */
    decoder: (handlers) =>
      createDecoder((type, call, payload) => dispatch(channel, handlers, type, call, payload), channel.die),
    start(handlers) {
      socket.on('data', channel.decoder(handlers));
      socket.on('error', () => exit(0));
      socket.on('close', () => exit(0));
    },
  };
  return channel;
}

function parse(channel, name, payload) {
  try {
    const value = JSON.parse(payload.toString());
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // falls through: the same mistake
  }
  return channel.die(`${name} is not a JSON object`);
}

function dispatch(channel, handlers, type, call, payload) {
  if (type === TO_RUNTIME.init) handlers.init(parse(channel, 'INIT', payload));
  else if (type === TO_RUNTIME.call) handlers.call(call, parse(channel, 'CALL', payload));
  else if (type === TO_RUNTIME.shutdown) handlers.shutdown();
  else if (type >= TO_RUNTIME.body && type <= TO_RUNTIME.credit) handlers.frame(type, call, payload);
  else channel.die(`frame type ${type} is unknown`);
}

/** Payloads that lie within one chunk are handed on without a copy. */
function createDecoder(onFrame, onBad) {
  let rest = null;
  let need = HEAD_BYTES;
  let parts = [];
  let have = 0;
  const drain = (bytes) => {
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const length = bytes.readUInt32BE(at);
      if (length > MAX_PAYLOAD) onBad(`a frame of ${length} bytes`);
      const end = at + HEAD_BYTES + length;
      if (end > bytes.length) {
        need = end - at;
        return bytes.subarray(at);
      }
      onFrame(bytes[at + 4], bytes.readUInt32BE(at + 5), bytes.subarray(at + HEAD_BYTES, end));
      at = end;
    }
    need = HEAD_BYTES;
    return at < bytes.length ? bytes.subarray(at) : null;
  };
  return (chunk) => {
    if (rest === null) {
      rest = drain(chunk);
      if (rest !== null) [parts, have] = [[rest], rest.length];
      return;
    }
    parts.push(chunk);
    have += chunk.length;
    if (have < need) return;
    rest = drain(Buffer.concat(parts, have));
    [parts, have] = rest === null ? [[], 0] : [[rest], rest.length];
  };
}

module.exports = { TO_RUNTIME, TO_HOST, WINDOW_BYTES, CREDIT_BYTES, FRAME_BODY_BYTES, encode, openChannel };
