import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { isErrno, WaferError } from '../../core/errors.ts';
import { isFunctionName, readShippedSchema, templatesFolder } from '../assets.ts';
import { command } from '../command.ts';

const TEMPLATES = ['node', 'node-ts', 'python', 'http'] as const;

async function assertEmpty(folder: string): Promise<void> {
  try {
    const [first] = await readdir(folder);
    if (first === undefined) return;
    throw new WaferError('conflict', `${folder} is not empty (it holds ${first}); nothing was written.`, {
      hint: 'Name a new folder: wafer init my-function',
    });
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    if (isErrno(error, 'ENOTDIR')) throw new WaferError('conflict', `${folder} is a file.`, { cause: error });
    throw error;
  }
}

function functionName(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63);
  if (isFunctionName(name)) return name;
  throw new WaferError('invalid_name', `No function can be named after the folder "${basename(folder)}".`, {
    hint: 'Use letters and digits: wafer init my-function',
  });
}

/** Templates say NAME where the function's name belongs. */
async function fillIn(folder: string, name: string): Promise<void> {
  for (const file of ['wafer.json', 'README.md', 'package.json']) {
    const path = join(folder, file);
    try {
      await writeFile(path, (await readFile(path, 'utf8')).replaceAll('__NAME__', name));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
}

export default command({
  name: 'init',
  about: 'Makes a folder with a small function that can be deployed at once.',
  args: {
    dir: { type: 'positional', description: 'New or empty folder', default: '.' },
    template: {
      type: 'enum',
      alias: 't',
      options: [...TEMPLATES],
      default: 'node',
      description: 'What to start from',
    },
  },
  examples: [
    ['wafer init hello', 'a Node function'],
    ['wafer init words --template python', 'a Python function'],
    ['wafer init site --template http', 'any program that listens on $PORT'],
  ],
  run: async ({ dir, template }, { ui, cwd }) => {
    const folder = resolve(cwd, dir);
    const name = functionName(folder);
    await assertEmpty(folder);
    await mkdir(folder, { recursive: true });
    await cp(join(templatesFolder(), template), folder, { recursive: true });
    await fillIn(folder, name);
    await writeFile(join(folder, 'wafer.schema.json'), readShippedSchema());
    const shown = relative(cwd, folder);
    ui.out(`${ui.paint('green', '✓')} ${shown || '.'}: a ${template} function named ${name}`);
    for (const file of (await readdir(folder)).sort()) ui.out(`  ${ui.paint('dim', file)}`);
    ui.out(`Next      wafer deploy${shown ? ` ${shown}` : ''}`);
  },
});
