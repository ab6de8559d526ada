/**
 * A Node process that forks children for tasks of tasks.cjs: `node zygote.cjs ADDON whole|plain together|in-turn CHILDREN TASK...`.
 * Its last line is JSON: see `Probed` in probe.ts.
 *
 * A child hangs when nothing in it has run for a while and nothing waits to run. However slow the machine is, one that
 * gets on is not taken for one that hangs: a thread that wants a processor is not asleep.
 */
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { TASKS, ENDS, warmUp, threads } = require('./tasks.cjs');
const work = require('./work.cjs');

const [addon, how, order, children, ...tasks] = process.argv.slice(2);
const native = require(addon);
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'node-zygote-'));
const QUIET_MS = 3_000;
const LOOK_MS = 100;
const TICK_MS = 10;

async function beChild(task, file) {
  const value = await (TASKS[task] ?? ENDS[task])();
  if (value !== undefined) {
    fs.writeFileSync(`${file}.tmp`, JSON.stringify(value));
    fs.renameSync(`${file}.tmp`, file);
  }
  if (task in TASKS) native.exit(0);
}

/** Says the same as long as nothing in the process runs; null: something does, or it is gone. */
function trace(pid) {
  try {
    const of = (thread) => {
      const text = fs.readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
      return /^State:\s+S/m.test(text) ? `${thread} ${text.match(/^(non)?voluntary_ctxt_switches.*/gm)}` : null;
    };
    const all = fs.readdirSync(`/proc/${pid}/task`).map(of);
    return all.includes(null) ? null : all.join();
  } catch {
    return null;
  }
}

const describe = (status) => (status & 127 ? `killed by ${status & 127}` : status >> 8);

async function end(pid) {
  let before = null;
  let since = 0;
  for (;;) {
    const status = native.wait(pid, 0);
    if (status >= 0) return describe(status);
    const now = trace(pid);
    if (now === null || now !== before) since = Date.now();
    else if (Date.now() - since > QUIET_MS) break;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  process.kill(pid, 'SIGKILL');
  native.wait(pid, 1);
  return 'hung';
}

/** @returns null in the child */
function forkOne(task, number) {
  const file = path.join(directory, String(number));
  const began = performance.now();
  const pid = native.fork(how === 'whole' ? 1 : 0);
  const forkMs = performance.now() - began;
  if (pid === 0) beChild(task, file);
  return pid === 0 ? null : { task, pid, file, began, forkMs };
}

const found = (file) => (fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : null);

/** Processor time, in ms, of this process and of its children that have ended. */
function cpuMs() {
  const fields = fs
    .readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000 + (Number(fields[13]) + Number(fields[14])) * TICK_MS;
}

/** One after the other, and nothing else meanwhile: for times. */
function inTurn() {
  const results = [];
  for (let number = 0; number < Number(children); number++) {
    const child = forkOne(tasks[0], number);
    if (child === null) return null;
    const ended = describe(native.wait(child.pid, 1));
    const ms = performance.now() - child.began;
    results.push({ task: child.task, ended, value: found(child.file), ms, forkMs: child.forkMs });
  }
  return results;
}

async function together() {
  const running = [];
  for (const task of tasks)
    for (let number = 0; number < Number(children); number++) {
      const child = forkOne(task, running.length);
      if (child === null) return null;
      running.push(child);
    }
  return Promise.all(running.map(async ({ task, pid, file }) => ({ task, ended: await end(pid), value: found(file) })));
}

async function main() {
  work.load();
  if (order === 'together') warmUp();
  const own = threads();
  const before = cpuMs();
  const results = order === 'in-turn' ? inTurn() : await together();
  if (results === null) return;
  const cpu = (cpuMs() - before) / results.length;
  fs.rmSync(directory, { recursive: true });
  console.log(JSON.stringify({ threads: own, cpuMs: cpu, children: results }));
}

main();
