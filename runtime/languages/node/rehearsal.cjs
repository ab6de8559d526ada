'use strict';
/**
 * What a blank does before READY: what the first INIT and the first call would do for the first time. Node compiles
 * and links its own JavaScript when it is first used, and that takes longer than what a small function does. It costs a
 * blank 2 ms; so not what few functions need (timers, signals, `fetch`).
 * Nothing leaves the process meanwhile, and nothing stays but what is loaded.
 */
const { openCalls } = require('./calls.cjs');
const { encode, TO_RUNTIME } = require('./channel.cjs');
const { loadHandler } = require('./loader.cjs');

const SETTINGS = {
  functionName: 'rehearsal',
  version: 0,
  codePath: __dirname,
  handler: 'rehearsal-handler.handler',
  env: {},
  maxResultBytes: 4096,
  maxLogLineBytes: 65_536,
};

/** `settle` is what INIT does before the handler is loaded. @throws what the platform's own code throws, never a function's */
async function rehearse(channel, settle) {
  const { send } = channel;
  const directory = process.cwd();
  channel.send = () => {};
  try {
    await rehearseInit(channel, settle);
  } finally {
    channel.send = send;
    process.chdir(directory);
  }
}

async function rehearseInit(channel, settle) {
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
  const head = { invocationId: '', deadlineMs: 0, attempt: 1, kind: 'event' };
  feed(
    Buffer.concat([
      frame(TO_RUNTIME.call, 1, head),
      frame(TO_RUNTIME.body, 1, { value: 1 }),
      encode(TO_RUNTIME.end, 1),
    ]),
  );
  await new Promise((resolve) => calls.drain(resolve));
}

const frame = (type, call, value) => encode(type, call, Buffer.from(JSON.stringify(value)));

module.exports = { rehearse };
