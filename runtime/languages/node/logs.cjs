'use strict';
/**
 * stdout and stderr as LOG frames, one per line, attributed to the call whose code wrote it.
 *
 * Nothing may stop a function from printing faster than the host reads: above a bound the
 * lines are dropped and counted, so that a print loop can not fill the process's memory.
 */
const { Writable } = require('node:stream');
const { encode, TO_HOST } = require('./channel.cjs');

const PENDING_BYTES = 4_194_304;
const CUT_MARK = Buffer.from('…');
const NEWLINE = 0x0a;
/** Output outside any call that has no newline yet is shown after this time. */
const IDLE_FLUSH_MS = 100;

function installLogs(channel, calls) {
  const sender = createSender(channel);
  const lines = createLines(sender);
  calls.beforeEnd(lines.flush);
  process.on('exit', lines.flushAll);
  for (const [name, stream] of [
    ['stdout', 1],
    ['stderr', 2],
  ]) {
    replaceStream(name, stream, (bytes) => lines.feed(calls.current(), stream, bytes));
  }
  return { flush: lines.flushAll, setLineLimit: sender.setLineLimit };
}

function createSender(channel) {
  let limit = 65_536;
  let dropped = 0;
  const emit = (call, stream, line) => {
    if (channel.pending > PENDING_BYTES) {
      dropped += 1;
      if (dropped === 1) channel.onDrain(reportDropped);
      return;
    }
    const text = line.length > limit ? cutLine(line, limit) : line;
    const payload = Buffer.allocUnsafe(1 + text.length);
    payload[0] = stream;
    payload.set(text, 1);
    channel.send(encode(TO_HOST.log, call, payload));
  };
  const reportDropped = () => {
    const count = dropped;
    dropped = 0;
    emit(0, 2, Buffer.from(`wafer: ${count} lines of output were dropped: they came faster than they could be stored`));
  };
  return {
    emit,
    get limit() {
      return limit;
    },
    setLineLimit(bytes) {
      limit = bytes;
    },
  };
}

function createLines(sender) {
  const { emit } = sender;
  /** Unfinished lines: `call number * 4 + stream` -> bytes. */
  const partial = new Map();
  let idleTimer = null;

  const keep = (call, key, bytes) => {
    const begun = partial.get(key) ?? Buffer.alloc(0);
    // One byte over the limit is enough to know that the line will be cut.
    const room = Math.max(0, sender.limit + 1 - begun.length);
    partial.set(key, Buffer.concat([begun, bytes.subarray(0, room)]));
    if (call !== 0 || idleTimer !== null) return;
    idleTimer = setTimeout(flush, IDLE_FLUSH_MS, 0);
    idleTimer.unref();
  };

  const flush = (call) => {
    if (call === 0) {
      clearTimeout(idleTimer);
      idleTimer = null;
    }
    if (partial.size === 0) return;
    for (const stream of [1, 2]) {
      const line = partial.get(call * 4 + stream);
      partial.delete(call * 4 + stream);
      if (line !== undefined) emit(call, stream, line);
    }
  };

  return {
    flush,
    flushAll() {
      for (const key of [...partial.keys()]) flush(Math.floor(key / 4));
    },
    feed(call, stream, bytes) {
      const key = call * 4 + stream;
      let at = 0;
      for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, at)) {
        const begun = partial.get(key);
        partial.delete(key);
        const line = bytes.subarray(at, end);
        emit(call, stream, begun === undefined ? line : Buffer.concat([begun, line]));
        at = end + 1;
      }
      if (at < bytes.length) keep(call, key, bytes.subarray(at));
    },
  };
}

/** At a character's border, with a mark. */
function cutLine(line, limit) {
  let end = limit;
  while (end > 0 && (line[end] & 0xc0) === 0x80) end -= 1;
  return Buffer.concat([line.subarray(0, end), CUT_MARK]);
}

function replaceStream(name, stream, feed) {
  const writable = new Writable({
    decodeStrings: false,
    write(chunk, encoding, done) {
      feed(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk);
      done();
    },
  });
  writable.fd = stream;
  // Like the real ones: a function that ends or destroys its output can still print.
  writable.end = () => writable;
  writable.destroy = () => writable;
  Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => writable });
}

module.exports = { installLogs };
