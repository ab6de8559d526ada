/**
 * What a forked child is asked to do, by name. Each returns (a promise of) what it found, or null where only its end
 * counts. ENDS are those that end the process in their own way.
 */
const crypto = require('node:crypto');
const fs = require('node:fs');
const vm = require('node:vm');
const work = require('./work.cjs');

const never = new Promise(() => {});
/** `export const f = () => 42`. */
const WASM = Buffer.from('0061736d010000000105016000017f03020100070501016600000a06010400412a0b', 'hex');
const status = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(fs.readFileSync('/proc/self/status'))[1]);

/** Where the first mapping of that name begins. */
const addressOf = (name) =>
  fs
    .readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .find((line) => line.endsWith(name))
    ?.split('-', 1)[0];

const burn = (rounds, by) => {
  let sum = 0;
  for (let i = 0; i < rounds; i++) sum = (sum + Math.sqrt(i) * by) % 1000;
  return sum;
};

/** Garbage for several collections of both generations. */
function collect() {
  let kept = [];
  for (let round = 0; round < 60; round++)
    kept = Array.from({ length: 20_000 }, (_, at) => ({ at, text: `${round}-${at}` }));
  return kept.length;
}

/** New functions, hot enough for every compiler. */
function compile() {
  let sum = 0;
  for (let by = 0; by < 40; by++) sum += new Function(`return (${burn})(200000, ${by})`)();
  return sum > 0;
}

const pool = () =>
  Promise.all([
    fs.promises.readFile(__filename),
    new Promise((resolve, reject) =>
      crypto.pbkdf2('a', 'b', 1000, 32, 'sha256', (error, key) => (error ? reject(error) : resolve(key))),
    ),
  ]).then(() => true);

/** Its answer comes over a socket of this process. */
const web = () =>
  new Promise((resolve, reject) => {
    const server = require('node:http').createServer((_request, response) => response.end('hello'));
    const ask = async () => (await fetch(`http://127.0.0.1:${server.address().port}`)).text();
    server.listen(0, '127.0.0.1', () => ask().then(resolve, reject));
  });

const worker = () =>
  new Promise((resolve, reject) => {
    const { Worker } = require('node:worker_threads');
    const one = new Worker('require("node:worker_threads").parentPort.postMessage(42)', { eval: true });
    one.once('message', resolve).once('error', reject);
  });

const TASKS = {
  collect,
  compile,
  pool,
  web,
  worker,
  wasm: () => WebAssembly.instantiate(WASM).then(({ instance }) => instance.exports.f()),
  'timed wait': () => Atomics.waitAsync(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20).value,
  threads: () => status('Threads'),
  pid: () => process.pid === status('Pid'),
  random: () => Math.random(),
  'random of a new context': () => vm.runInNewContext('Math.random()'),
  uuid: () => crypto.randomUUID(),
  bytes: () => crypto.randomBytes(16).toString('hex'),
  layout: () => ['[heap]', '/libc.so.6', '[stack]'].map(addressOf).join(),
  work: () => void work.call(work.load()),
  memory() {
    work.call(work.load());
    return work.privateKb();
  },
  nothing: () => undefined,
};

const ENDS = {
  /** All that it does is done. */
  end: () => process.exitCode === undefined,
  exit: () => process.exit(0),
  error() {
    setImmediate(() => {
      throw new Error('on purpose');
    });
    return never;
  },
};

/** As a fork server that has served: V8's threads have worked, `randomUUID` has drawn ahead. */
const warmUp = () => [TASKS.uuid(), collect(), compile()];

module.exports = { TASKS, ENDS, warmUp, threads: TASKS.threads };
