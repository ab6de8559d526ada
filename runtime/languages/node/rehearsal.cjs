'use strict';
/**
 * What a blank does before READY: what the first INIT and the first call would do for the first time. Node compiles
 * and links its own JavaScript when it is first used, and that takes longer than what a small function does. It costs a
 * blank 2 ms; so not what few functions need (timers, signals).
 * Nothing leaves the process meanwhile, and nothing stays but what is loaded.
 */
const { openCalls } = require('./calls.cjs');
const { encode, TO_RUNTIME } = require('./channel.cjs');
const { loadHandler } = require('./loader.cjs');

/** What programs ask for that speak HTTP or need a hash; `https` brings TLS and cryptography. */
const WEB = [
  'https',
  'http2',
  'zlib',
  'fs/promises',
  'dns',
  'worker_threads',
  'perf_hooks',
  'child_process',
  'assert',
  'v8',
];
const MORE = ['stream/promises', 'timers/promises', 'querystring', 'string_decoder', 'os', 'readline', 'tty'];
const SETTINGS = {
  functionName: 'rehearsal',
  version: 0,
  codePath: __dirname,
  handler: 'rehearsal-handler.handler',
  env: {},
  maxResultBytes: 4096,
  maxLogLineBytes: 65_536,
};
const HEAD = {
  invocationId: '',
  deadlineMs: 0,
  attempt: 1,
  method: 'POST',
  path: '/',
  query: '',
  headers: [['a', 'b']],
};

/**
 * `settle` is what INIT does before the handler is loaded. `preload` is what of Node is loaded besides: `web`, or
 * `fetch` for that and all that a call by HTTP needs; anything else is nothing.
 * @throws what the platform's own code throws, never a function's
 */
async function rehearse(channel, settle, preload) {
  const { send } = channel;
  const directory = process.cwd();
  channel.send = () => {};
  try {
    const isFetch = preload === 'fetch';
    if (isFetch || preload === 'web') for (const name of [...WEB, ...MORE]) require(`node:${name}`);
    await rehearseCalls(channel, settle, isFetch ? ['event', 'http'] : ['event']);
  } finally {
    channel.send = send;
    process.chdir(directory);
  }
}

async function rehearseCalls(channel, settle, kinds) {
  const calls = openCalls(channel);
  const feed = channel.decoder({
    init(settings) {
      settle(settings);
      calls.bind(settings, loadHandler(settings.codePath, settings.handler));
    },
    call: calls.open,
    frame: calls.frame,
  });
  feed(frame(TO_RUNTIME.init, 0, SETTINGS));
  for (const [at, kind] of kinds.entries()) {
    const number = at + 1;
    feed(frame(TO_RUNTIME.call, number, { ...HEAD, kind }));
    feed(Buffer.concat([frame(TO_RUNTIME.body, number, { value: 1 }), encode(TO_RUNTIME.end, number)]));
    await new Promise((resolve) => calls.drain(resolve));
  }
}

const frame = (type, call, value) => encode(type, call, Buffer.from(JSON.stringify(value)));

module.exports = { rehearse };
