import { existsSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { WaferError } from '../../core/errors.ts';
import { parseConfigText } from '../../core/functions/config-text.ts';
import { dockerfileOf } from '../../core/functions/dockerfile.ts';
import { packContext, packFolder, readFolderConfig } from '../../core/functions/source/pack-folder.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import { validateConfig } from '../../core/functions/validate.ts';
import { isFunctionName } from '../assets.ts';
import { createBuildLog } from '../build-log.ts';
import { type Client, createClient, type DeployEvent, problemError } from '../client.ts';
import { command, jsonFlag } from '../command.ts';
import { count, formatBytes, formatMs } from '../format.ts';
import { callLines } from '../how-to-call.ts';
import type { Ui } from '../ui.ts';

const CONFIG_FILE = 'wafer.json';

/** What one deploy sends. */
interface Sending {
  name: string;
  /** For a person, before it starts. */
  note: string;
  events: (client: Client) => AsyncGenerator<DeployEvent>;
}

function checkName(name: string): string {
  if (isFunctionName(name)) return name;
  throw new WaferError('invalid_name', `"${name}" can not be the name of a function.`, {
    hint: 'Use a-z, 0-9 and "-", at most 63 characters: --name NAME, or "name" in wafer.json.',
  });
}

/** The settings as written. @throws WaferError `invalid_config` with line and column when the file is not JSON */
function readSettings(text: string | null, file: string): Record<string, unknown> {
  const value = text === null ? {} : parseConfigText(text, file);
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

const nameIn = ({ name }: Record<string, unknown>): string | undefined => (typeof name === 'string' ? name : undefined);

/** Name: `--name`, else wafer.json, else the folder's own name. */
async function folderSending(folder: string, given: string | undefined): Promise<Sending> {
  const settings = readSettings(await readFolderConfig(folder), CONFIG_FILE);
  const name = checkName(given ?? nameIn(settings) ?? basename(folder).toLowerCase());
  const { dockerfile, runtime, base } = settings;
  const path = dockerfileOf(
    // Of other types they are refused by the server, with all that is wrong.
    {
      ...(typeof dockerfile === 'string' ? { dockerfile } : {}),
      ...(runtime === 'node' || runtime === 'python' ? { runtime } : {}),
      ...(base === undefined ? {} : { base: String(base) }),
    },
    () => existsSync(join(folder, 'Dockerfile')),
  );
  const packed = path === null ? await packFolder(folder) : await packContext(folder, path, [CONFIG_FILE]);
  const config = path === null ? { name } : { name, dockerfile: path };
  const how = path === null ? '' : ` to be built by ${path}`;
  return {
    name,
    note: `Sending ${count(packed.files, 'file')} of ${folder}${how}`,
    events: (client) => client.deploy(name, packed.stream, config),
  };
}

/** `registry.example/team/App:1` -> `app`. */
function nameOfImage(reference: string): string {
  const last = (reference.split('@')[0] ?? '').split('/').at(-1) ?? '';
  return (last.split(':')[0] ?? '').toLowerCase().replaceAll(/[._]+/g, '-');
}

function imageSending(reference: string, given: string | undefined, configFile: string | undefined): Sending {
  const settings = configFile === undefined ? {} : validateConfig(readConfigFile(configFile));
  const name = checkName(given ?? settings.name ?? nameOfImage(reference));
  return {
    name,
    note: `Deploying the image ${reference}`,
    events: (client) => client.deployImage(name, reference, settings),
  };
}

function readConfigFile(path: string): unknown {
  try {
    return parseConfigText(readFileSync(path, 'utf8'), path);
  } catch (cause) {
    if (cause instanceof WaferError) throw cause;
    throw new WaferError('usage', `The settings can not be read: ${(cause as Error).message}`, { cause });
  }
}

async function build(client: Client, { name, note, events }: Sending, ui: Ui): Promise<FunctionVersion> {
  const log = createBuildLog(ui);
  try {
    log.note(note);
    for await (const event of events(client)) {
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

function refuseMixed(image: string | undefined, config: string | undefined): void {
  if (image !== undefined || config === undefined) return;
  throw new WaferError('usage', '--config is for --image; the settings of a folder are in its wafer.json.');
}

export default command({
  name: 'deploy',
  about:
    'Builds a folder, or takes an image, and makes it the live version. The old version serves until the new one is ready.',
  args: {
    dir: { type: 'positional', description: 'Folder with the function; with --image the name', default: '.' },
    name: { type: 'string', description: 'Name of the function; default: from wafer.json, the folder or the image' },
    image: { type: 'string', description: 'An image instead of a folder; pulled when the store has it not' },
    config: { type: 'string', description: 'Settings for --image: a file like wafer.json' },
    ...jsonFlag,
  },
  examples: [
    ['wafer deploy', 'the current folder: code, or a Dockerfile'],
    ['wafer deploy ./hello --name hello-test', 'another folder, under another name'],
    ['wafer deploy --image registry.example/team/app:1 app', 'an image, from its registry'],
    ['wafer deploy --json | jq .number', 'the new version for a script'],
  ],
  run: async ({ dir, name: given, image, config, json }, { ui, env, cwd }) => {
    const startedAt = Date.now();
    refuseMixed(image, config);
    const sending =
      image === undefined
        ? await folderSending(resolve(cwd, dir), given)
        : imageSending(image, given ?? (dir === '.' ? undefined : dir), config && resolve(cwd, config));
    const client = createClient(env);
    const version = await build(client, sending, ui);
    if (json) return ui.json(version);
    const took = formatMs(Date.now() - startedAt);
    ui.out(
      `${ui.paint('green', '✓')} ${ui.paint('bold', `${sending.name} v${version.number}`)} is live after ${took}; it added ${formatBytes(version.addedBytes)} to the store.`,
    );
    for (const line of callLines(client, sending.name, version.config.runtime)) ui.out(line);
  },
});
