'use strict';
/** What a thrown thing says about itself; it may be anything, and its getters may throw. */

const MESSAGE_CHARS = 4096;
const STACK_CHARS = 16_384;
const RUNTIME_PREFIXES = [`${__dirname}/`, 'node:internal', 'node:async_hooks'];

/** A failure that the runtime itself found, with its protocol code. */
class WaferFailure extends Error {
  constructor(code, message) {
    super(message);
    this.name = 'WaferFailure';
    this.waferCode = code;
  }
}

function text(value) {
  try {
    return String(value);
  } catch {
    return 'a value that can not be shown';
  }
}

function read(error, key) {
  try {
    return error[key];
  } catch {
    return undefined;
  }
}

/** Only the frames of the function: the runtime's own say nothing to its author. */
function cleanStack(stack) {
  const lines = stack.split('\n');
  const own = lines.filter((line) => !RUNTIME_PREFIXES.some((prefix) => line.includes(prefix)));
  return own.join('\n').slice(0, STACK_CHARS);
}

/** @returns `{message, errorType?, stack?}` for ERROR and INIT_ERROR */
function describe(error, want = 'stack') {
  if (error instanceof WaferFailure) return { message: error.message };
  const isError = error instanceof Error || (typeof error === 'object' && error !== null && 'stack' in error);
  if (!isError) {
    const shown = typeof error === 'object' && error !== null ? shownObject(error) : text(error);
    return {
      message: `The function threw ${shown.slice(0, MESSAGE_CHARS)}, which is not an Error.`,
      errorType: typeof error,
    };
  }
  const message = text(read(error, 'message') ?? '') || text(read(error, 'name'));
  const name = read(error, 'name');
  const stack = read(error, 'stack');
  return {
    message: message.slice(0, MESSAGE_CHARS),
    ...(typeof name === 'string' ? { errorType: name.slice(0, 256) } : {}),
    ...(want === 'stack' && typeof stack === 'string' ? { stack: cleanStack(stack) } : {}),
  };
}

function shownObject(value) {
  try {
    return JSON.stringify(value) ?? text(value);
  } catch {
    return text(value);
  }
}

module.exports = { WaferFailure, describe };
