import { basename, resolve } from 'node:path';
import { WaferError } from '../../core/errors.ts';
import { parseConfigText } from '../../core/functions/config-text.ts';
import { packFolder, readFolderConfig } from '../../core/functions/source/pack-folder.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import { isFunctionName } from '../assets.ts';
import { createBuildLog } from '../build-log.ts';
import { type Client, createClient, problemError } from '../client.ts';
import { command, jsonFlag } from '../command.ts';
import { count, formatBytes, formatMs } from '../format.ts';
import { callLines } from '../how-to-call.ts';
import type { Ui } from '../ui.ts';

/** `name` of wafer.json, or null. @throws WaferError `invalid_config` with line and column when the file is not JSON */
function configName(text: string): string | null {
  const value = parseConfigText(text, 'wafer.json');
  const name = typeof value === 'object' && value !== null && 'name' in value ? value.name : null;
  return typeof name === 'string' ? name : null;
}

/** `--name`, else wafer.json, else the folder's own name. */
async function chooseName(folder: string, given: string | undefined): Promise<string> {
  const text = await readFolderConfig(folder);
  const name = given ?? (text === null ? null : configName(text)) ?? basename(folder).toLowerCase();
  if (isFunctionName(name)) return name;
  throw new WaferError('invalid_name', `"${name}" can not be the name of a function.`, {
    hint: 'Use a-z, 0-9 and "-", at most 63 characters: --name NAME, or "name" in wafer.json.',
  });
}

async function build(client: Client, name: string, folder: string, ui: Ui): Promise<FunctionVersion> {
  const log = createBuildLog(ui);
  try {
    const packed = await packFolder(folder);
    log.note(`Sending ${count(packed.files, 'file')} of ${folder}`);
    for await (const event of client.deploy(name, packed.stream, { name })) {
      if (event.type === 'deployed') return event.version;
      if (event.type === 'failed') throw problemError(event.problem);
      log.event(event);
    }
  } finally {
    log.close();
  }
  throw new WaferError('not_reachable', `The connection to ${client.url} ended before the build did.`, {
    hint: `"wafer versions ${name}" says whether it was deployed.`,
  });
}

export default command({
  name: 'deploy',
  about: 'Builds a folder and makes it the live version. The old version serves until the new one is ready.',
  args: {
    dir: { type: 'positional', description: 'Folder with the function', default: '.' },
    name: { type: 'string', description: 'Name of the function; default: from wafer.json, else the folder' },
    ...jsonFlag,
  },
  examples: [
    ['wafer deploy', 'the current folder'],
    ['wafer deploy ./hello --name hello-test', 'another folder, under another name'],
    ['wafer deploy --json | jq .number', 'the new version for a script'],
  ],
  run: async ({ dir, name: given, json }, { ui, env, cwd }) => {
    const startedAt = Date.now();
    const folder = resolve(cwd, dir);
    const name = await chooseName(folder, given);
    const client = createClient(env);
    const version = await build(client, name, folder, ui);
    if (json) return ui.json(version);
    const took = formatMs(Date.now() - startedAt);
    ui.out(
      `${ui.paint('green', '✓')} ${ui.paint('bold', `${name} v${version.number}`)} is live after ${took}; it added ${formatBytes(version.addedBytes)} to the store.`,
    );
    for (const line of callLines(client, name, version.config.runtime)) ui.out(line);
  },
});
