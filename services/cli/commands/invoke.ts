import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ERRORS, WaferError } from '../../core/errors.ts';
import { type Client, createClient } from '../client.ts';
import { command, jsonFlag } from '../command.ts';
import { readEvent } from '../event-input.ts';
import { formatBytes } from '../format.ts';
import { showFailure } from '../function-failure.ts';
import { invokeAsync } from '../invocations/invoke-async.ts';
import { parseCount } from '../numbers.ts';
import { type CallReceipt, readReceipt, showReceipt } from '../receipt.ts';
import { readAll } from '../transport.ts';
import type { Ui } from '../ui.ts';

const isJson = (contentType: string) => /^application\/(?:[a-z.+-]+\+)?json\b/i.test(contentType);
const isText = (contentType: string) => isJson(contentType) || /^text\//i.test(contentType);

/** JSON is laid out for a person and left alone for a pipe; bytes that a terminal can not show are not sent to it. */
async function showResult(ui: Ui, name: string, contentType: string, body: Buffer): Promise<void> {
  if (isJson(contentType)) {
    const text = body.toString();
    return ui.out(ui.stdoutIsTty ? JSON.stringify(JSON.parse(text), null, 2) : text);
  }
  if (!ui.stdoutIsTty) return ui.raw(body);
  if (isText(contentType)) return ui.out(body.toString());
  ui.err(`The result is ${formatBytes(body.length)} of ${contentType}. Keep it: wafer invoke ${name} --output FILE`);
}

/** Everything about the call in one object; bytes as base64. */
function showJson(ui: Ui, status: number, receipt: CallReceipt, contentType: string, body: Buffer): void {
  const result = isJson(contentType)
    ? { result: JSON.parse(body.toString()) }
    : { contentType, base64: body.toString('base64') };
  ui.json({ status, ...receipt, ...result });
}

type Reply = Awaited<ReturnType<Client['invoke']>>;

function fail(ui: Ui, name: string, reply: Reply, problem: NonNullable<Reply['problem']>, json: boolean): number {
  const receipt = readReceipt(reply.headers);
  if (json) ui.json({ status: reply.status, ...receipt, error: problem });
  else showFailure(ui, name, problem, receipt);
  return ERRORS[problem.code].exit;
}

const LATER_ONLY = ['wait', 'delay', 'idempotency-key', 'callback'] as const;

/** Without --async they would be passed over, and the call would run now. */
function refuseLaterOnly(given: Partial<Record<(typeof LATER_ONLY)[number], unknown>>): void {
  const flag = LATER_ONLY.find((name) => given[name] !== undefined && given[name] !== false);
  if (flag === undefined) return;
  throw new WaferError('usage', `--${flag} is for calls that run later.`, { hint: 'Add --async.' });
}

export default command({
  name: 'invoke',
  about:
    'Calls a function and prints its result on stdout. The event comes from --data or from a pipe; without both it is {}.\nExit code 1 when the function fails.',
  args: {
    name: { type: 'positional', description: 'Name of the function', required: true },
    data: { type: 'string', alias: 'd', valueHint: 'JSON|@FILE|-', description: 'The event; "-" reads stdin' },
    alias: { type: 'string', description: 'Call the version of this alias (default live)' },
    version: { type: 'string', valueHint: 'NUMBER', description: 'Call this version' },
    include: { type: 'boolean', alias: 'i', description: 'Also show status, start kind and phases (on stderr)' },
    async: { type: 'boolean', description: 'Only have it accepted: it runs later, also when this machine restarts' },
    wait: { type: 'boolean', description: 'With --async: wait for its end, and print its result' },
    delay: { type: 'string', valueHint: 'SPAN', description: 'With --async: not before 30s, 10m, 2h, 1d' },
    'idempotency-key': { type: 'string', valueHint: 'KEY', description: 'With --async: accepted once for this key' },
    callback: { type: 'string', valueHint: 'URL', description: 'With --async: told when it has ended' },
    output: { type: 'string', alias: 'o', valueHint: 'FILE', description: 'Write the result to a file' },
    ...jsonFlag,
  },
  examples: [
    [`wafer invoke hello --data '{"name":"Ada"}'`, 'an event'],
    ['wafer invoke hello -d @event.json -i', 'from a file, with the receipt'],
    ['cat event.json | wafer invoke hello | jq', 'in a pipe'],
    ['wafer invoke thumbnail -o small.png', 'bytes into a file'],
    ['wafer invoke report --async', 'prints the id; "wafer invocations get ID" tells how it goes'],
  ],
  run: async ({ name, data, alias, version, include, output, json, ...later }, { ui, env, cwd }) => {
    const selector = { alias, version: version === undefined ? undefined : parseCount('--version', version) };
    if (later.async) {
      const shown = { output: output === undefined ? undefined : resolve(cwd, output), json: json === true };
      const { wait, delay, callback } = later;
      const key = later['idempotency-key'];
      return invokeAsync(
        name,
        await readEvent(data, cwd, ui),
        { ...selector, ...shown, wait, delay, callback, key },
        { ui, env },
      );
    }
    refuseLaterOnly(later);
    const client = createClient(env);
    const event = await readEvent(data, cwd, ui);
    const reply = await client.invoke(name, event, selector);
    if (reply.problem !== null) return fail(ui, name, reply, reply.problem, json === true);
    const body = await readAll(reply, client.url);
    const receipt = readReceipt(reply.headers);
    const contentType = reply.headers['content-type'] ?? 'application/octet-stream';
    if (include && !json) showReceipt(ui, reply.status, receipt);
    if (output !== undefined) {
      await writeFile(resolve(cwd, output), body);
      ui.err(`${formatBytes(body.length)} of ${contentType} written to ${output}`);
    } else if (json) showJson(ui, reply.status, receipt, contentType, body);
    else await showResult(ui, name, contentType, body);
    return 0;
  },
});
