'use strict';
/**
 * The Node runtime: the first program of a sandbox. It boots, says READY, is bound to one
 * function by INIT, and serves its calls over file descriptor 3. See protocol.md.
 *
 *   channel.cjs  fd 3: frames in and out       loader.cjs  finds and imports the handler
 *   logs.cjs     stdout/stderr as LOG frames   calls.cjs   one call: bodies, windows, cancel
 *   event.cjs, http.cjs  the two kinds of call results.cjs, serialise.cjs  values to bytes
 *   rehearsal.cjs  what a blank does before READY code-cache.cjs  code that was compiled at build
 *   heap.cjs     a heap that fits a small sandbox
 */
const { openCalls } = require('./calls.cjs');
const { openChannel, TO_HOST } = require('./channel.cjs');
const { useCodeCache } = require('./code-cache.cjs');
const { describe } = require('./errors.cjs');
const { fitHeap } = require('./heap.cjs');
const { loadHandler } = require('./loader.cjs');
const { installLogs } = require('./logs.cjs');

/** What of the sandbox's own environment a function keeps, unless INIT says otherwise. */
const KEPT_ENV = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ'];

// The function's code is not part of this program.
process.mainModule = undefined;

const channel = openChannel(3);
const calls = openCalls(channel);
const logs = installLogs(channel, calls);

let state = 'blank';

function replaceEnv(settings) {
  const kept = KEPT_ENV.filter((name) => process.env[name] !== undefined).map((name) => [name, process.env[name]]);
  for (const name of Object.keys(process.env)) delete process.env[name];
  const own = { WAFER_FUNCTION: settings.functionName, WAFER_VERSION: String(settings.version) };
  Object.assign(process.env, Object.fromEntries(kept), settings.env, own);
}

/** Whose code comes, and where it is. @returns counts of what of it was compiled at build, or null */
function settle(settings) {
  logs.setLineLimit(settings.maxLogLineBytes);
  replaceEnv(settings);
  process.chdir(settings.codePath);
  return useCodeCache(settings.codePath);
}

async function onInit(settings) {
  state = 'binding';
  let codeCache;
  try {
    codeCache = settle(settings);
    const loaded = loadHandler(settings.codePath, settings.handler);
    calls.bind(settings, loaded instanceof Promise ? await loaded : loaded);
  } catch (error) {
    failInit(error);
    return;
  }
  if (state !== 'binding') return;
  state = 'bound';
  channel.sendJson(TO_HOST.initOk, 0, codeCache === null ? {} : { codeCache });
  setImmediate(fitHeap, settings);
}

function failInit(error) {
  if (state !== 'binding') return;
  state = 'failed';
  logs.flush();
  const code = error?.waferCode ?? 'function_init_failed';
  channel.sendJson(TO_HOST.initError, 0, { code, ...describe(error, code === 'handler_not_found' ? '' : 'stack') });
  channel.exitWhenSent(1);
}

/** Nobody handles it, so the state of the process is unknown: its calls fail and it is not used again. */
function onUnhandled(what, error) {
  if (state === 'binding') return failInit(error);
  if (state === 'failed') return;
  state = 'failed';
  logs.flush();
  const problem = describe(error);
  calls.failAll({ ...problem, message: `${what}: ${problem.message}` });
  channel.exitWhenSent(1);
}

process.on('uncaughtException', (error, origin) => {
  onUnhandled(origin === 'unhandledRejection' ? 'Unhandled promise rejection' : 'Unhandled exception', error);
});
process.on('unhandledRejection', (reason) => onUnhandled('Unhandled promise rejection', reason));

async function main() {
  // A sandbox that is made for a call has its INIT coming: it loads what it needs when it needs it.
  const { WAFER_BLANK: preload } = process.env;
  if (preload !== undefined) await require('./rehearsal.cjs').rehearse(channel, settle, preload);
  channel.start({
    init: (settings) => (state === 'blank' ? onInit(settings) : channel.die('a second INIT')),
    call: (number, head) => (state === 'bound' ? calls.open(number, head) : channel.die('CALL before INIT_OK')),
    frame: calls.frame,
    shutdown: () => calls.drain(() => channel.exitWhenSent(0)),
  });
  channel.sendJson(TO_HOST.ready, 0, { protocol: 1, runtime: 'node', runtimeVersion: process.versions.node });
}

void main();
