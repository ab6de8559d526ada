/** The three instructions that make layers: each gets the stage before it, and gives its key and a way to make the layer. */
import { openSpool } from '../../functions/source/spool.ts';
import type { LayerInfo } from '../types.ts';
import { AccountError, homeOf, ownerIds, processIds, type UserIds } from './accounts.ts';
import { type BuildContext, latestOf } from './build-context.ts';
import { placeCopies } from './copy-plan.ts';
import { digestSelected, selectSources } from './copy-select.ts';
import { type CopySource, layerSource } from './copy-source.ts';
import { partsOf } from './file-tree.ts';
import { createLayerDraft, DraftError, type LayerDraft } from './layer-draft.ts';
import { DEFAULT_PATH, DEFAULT_SHELL, joinPath } from './metadata.ts';
import { readMounts } from './mount-options.ts';
import { mountKeys, prepareMounts } from './run-mounts.ts';
import { expandIn, isProxyArg, type StageScope } from './scope.ts';
import { layerNames, type StageState } from './stage-state.ts';
import { oneFlag, refuseFlags } from './stages.ts';
import { stepKey } from './step-cache.ts';
import { dockerfileError, type Instruction, refuse, type Stage } from './types.ts';

export interface StepInput {
  build: BuildContext;
  stage: Stage;
  state: StageState;
  scope: StageScope;
  instruction: Instruction;
  /** As shown in events. */
  label: string;
}

export interface LayerStep {
  /** The second key is computed only when the first one is not known: it costs reading. */
  keys: (() => Promise<string>)[];
  createdBy: string;
  /** What the next step's key is made from; must not depend on which key was found. */
  nextKey(layer: LayerInfo | null, firstKey: string): string;
  /** Null when there is nothing to add. */
  make(): Promise<LayerInfo | null>;
}

const expand = ({ instruction, scope, build }: StepInput, text: string) =>
  expandIn(instruction, text, scope.get, build.dockerfile.mark);

async function accounts({ build }: StepInput, layers: readonly LayerInfo[]) {
  const [passwd, group] = await Promise.all(
    ['etc/passwd', 'etc/group'].map((path) => build.indexes.account(layers, path)),
  );
  return { passwd: passwd ?? '', group: group ?? '' };
}

/** What a draft or an account file refuses is said with the place. */
async function placed<T>({ instruction }: StepInput, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DraftError || error instanceof AccountError) throw refuse(instruction, `${error.message}.`);
    throw error;
  }
}

// RUN

export function runStep(input: StepInput): LayerStep {
  const { build, state, scope, instruction } = input;
  refuseFlags(instruction, {
    security: 'is not allowed: a step has no more rights than its sandbox.',
    device: 'is not allowed: a step gets no device.',
  });
  const network = oneFlag(instruction, 'network') ?? 'default';
  if (network !== 'default' && network !== 'none')
    throw refuse(instruction, `--network=${network.slice(0, 32)} is not allowed; there are default and none.`);
  const mounts = readMounts(instruction, scope.get, build.dockerfile.mark, state.config.WorkingDir ?? '/');
  const { argv, files } = commandLine(instruction, state.config.Shell ?? DEFAULT_SHELL);
  const args = Object.fromEntries(scope.args);
  const key = async () => {
    const keys = await mountKeys(input, mounts);
    const texts = instruction.heredocs.map(({ content }) => content);
    const pairs = [...scope.args].map(([name, value]) => `${name}=${value}`);
    return stepKey(state.key, 'RUN', argv, network, pairs, keys, texts, String(build.epoch ?? ''));
  };
  return {
    keys: [key],
    createdBy: instruction.text,
    nextKey: (_layer, firstKey) => firstKey,
    async make() {
      const env = envOf(state.config.Env);
      const given = build.request.buildArgs ?? {};
      const proxies = Object.fromEntries(Object.entries(given).filter(([name]) => isProxyArg(name)));
      if (state.layers.length === 0)
        throw refuse(instruction, 'the stage is empty (FROM scratch): there is nothing to run.');
      const names = await accounts(input, state.layers);
      const user = await placed(input, async () => processIds(state.config.User ?? '0', names));
      const prepared = await prepareMounts(input, mounts, state.layers);
      const step = {
        step: input.label,
        layers: layerNames([...state.layers, ...prepared.layers]),
        argv,
        env: { PATH: DEFAULT_PATH, HOME: homeOf(user.uid, names), ...proxies, ...args, ...prepared.env, ...env },
        cwd: state.config.WorkingDir ?? '/',
        user: isRoot(user) ? null : user,
        network: network as 'default' | 'none',
        files: { ...files, ...prepared.files },
        latest: build.epoch,
        signal: build.signal,
        onOutput: (stream: 'stdout' | 'stderr', text: string) =>
          build.onEvent({ type: 'log', step: input.label, stream, text }),
      };
      try {
        return await build.inTurn(() =>
          build.deps.runner.run(step, async (pack) => {
            await prepared.saveCaches(pack);
            return build.deps.images.addLayer(prepared.clean(await pack()), {
              createdBy: instruction.text,
              fast: true,
            });
          }),
        );
      } finally {
        await prepared.close();
      }
    },
  };
}

const isRoot = ({ uid, gid, groups }: UserIds) => uid === 0 && gid === 0 && groups.every((group) => group === 0);

const envOf = (env: readonly string[] = []): Record<string, string> =>
  Object.fromEntries(env.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));

/** A heredoc alone is a script: with `#!` a program of its own, else for the shell. With a command it is the command's input. */
function commandLine(instruction: Instruction, shell: readonly string[]) {
  const { json, args, heredocs } = instruction;
  const [first] = heredocs;
  if (json !== null) return { argv: json, files: {} };
  if (first === undefined) return { argv: [...shell, args], files: {} };
  if (args !== first.word) {
    const bodies = heredocs.map(({ content, name }) => `${content}${name}\n`).join('');
    // The shell reads the delimiters itself, so tabs that were taken away do no harm.
    return { argv: [...shell, `${args}\n${bodies}`], files: {} };
  }
  if (!first.content.startsWith('#!')) return { argv: [...shell, first.content], files: {} };
  const path = '/dev/shm/.wafer-heredoc';
  return { argv: [path], files: { [path]: { content: first.content, executable: true } } };
}

// WORKDIR

/** The folder is made when it does not exist; else the instruction only changes the config. */
export function workdirStep(input: StepInput, path: string): LayerStep {
  const { build, state, instruction } = input;
  return {
    keys: [async () => stepKey(state.key, 'WORKDIR', path, state.config.User ?? '', String(build.epoch ?? ''))],
    createdBy: `WORKDIR ${path}`,
    nextKey: (_layer, firstKey) => firstKey,
    make: () =>
      placed(input, async () => {
        const owner = processIds(state.config.User ?? '0', await accounts(input, state.layers));
        const draft = await newDraft(input, owner);
        const real = draft.resolve(partsOf(path).join('/'));
        if (real === '' || draft.get(real)?.kind === 'dir') return null;
        draft.folder(real);
        return build.deps.images.addLayer(draft.toTar(), { createdBy: instruction.text, fast: true });
      }),
  };
}

async function newDraft({ build, state }: StepInput, owner: { uid: number; gid: number }): Promise<LayerDraft> {
  const tree = await build.indexes.tree(state.layers);
  return createLayerDraft(tree, { uid: owner.uid, gid: owner.gid, mtime: latestOf(build) });
}

// COPY and ADD

export function copyStep(input: StepInput): LayerStep {
  const { build, state, instruction } = input;
  const { keyword, heredocs } = instruction;
  const words = (instruction.json ?? instruction.args.split(/\s+/)).map((word) => {
    return heredocs.some((heredoc) => heredoc.word === word) ? word : expand(input, word);
  });
  const destination = words.pop() ?? '';
  if (words.length === 0 || destination === '')
    throw refuse(instruction, 'it takes at least one source and a destination.');
  refuseUnsupported(input, words);
  const patterns = words.filter((word) => !heredocs.some((heredoc) => heredoc.word === word));
  const inline = heredocs.map(({ name, content, expand: expands }) => ({
    name,
    content: expands
      ? expandIn(instruction, content, input.scope.get, build.dockerfile.mark, { quotes: false })
      : content,
  }));
  const chown = expand(input, oneFlag(instruction, 'chown') ?? '');
  const chmod = octal(input, expand(input, oneFlag(instruction, 'chmod') ?? ''));
  const from = keyword === 'COPY' ? oneFlag(instruction, 'from') : undefined;
  const link = oneFlag(instruction, 'link') === 'true';
  const own = [
    keyword,
    ...patterns,
    destination,
    chown,
    String(chmod),
    ...inline.flatMap((one) => [one.name, one.content]),
  ];
  const createdBy = [
    keyword,
    ...instruction.flags.map(({ name, value }) => `--${name}${value === null ? '' : `=${value}`}`),
    ...words,
    destination,
  ].join(' ');
  const rest = [state.config.WorkingDir ?? '/', String(build.epoch ?? ''), link ? 'link' : ''];
  const open = () => openSource(input, from);
  // Of a stage the digests of its layers are enough when nothing of it has changed; else its files decide.
  const coarse = async () => {
    const key =
      from === undefined ? null : (await build.layersOf(from, input.stage, instruction.at, 'COPY --from')).key;
    return stepKey(state.key, own, rest, key === null ? 'context' : key, from === undefined ? await contentKey() : '');
  };
  const contentKey = async () => {
    const source = await open();
    try {
      return await digestSelected(source, selectSources(instruction, source, patterns));
    } finally {
      await source.close();
    }
  };
  const fine = async () => stepKey(state.key, own, rest, 'content', await contentKey());
  const make = () => makeCopy(input, { patterns, inline, destination, chown, chmod, open });
  const nextKey = (layer: LayerInfo | null) => stepKey(state.key, own, rest, layer?.diffId ?? null);
  return { keys: from === undefined ? [coarse] : [coarse, fine], createdBy, nextKey, make };
}

async function openSource({ build, stage, instruction }: StepInput, from: string | undefined): Promise<CopySource> {
  if (from === undefined) return build.context;
  const { layers } = await build.layersOf(from, stage, instruction.at, 'COPY --from');
  const { images, tmpDir } = build.deps;
  return layerSource(layers, `"${from}"`, { images, tmpDir, indexes: build.indexes });
}

interface CopyWish {
  patterns: string[];
  inline: { name: string; content: string }[];
  destination: string;
  chown: string;
  chmod: number | null;
  open(): Promise<CopySource>;
}

function makeCopy(input: StepInput, wish: CopyWish): Promise<LayerInfo> {
  const { build, state, instruction } = input;
  return placed(input, async () => {
    const source = await wish.open();
    const spool = instruction.keyword === 'ADD' ? await openSpool(build.deps.tmpDir) : null;
    try {
      const owner = wish.chown === '' ? null : ownerIds(wish.chown, await accounts(input, state.layers));
      const draft = await newDraft(input, owner ?? { uid: 0, gid: 0 });
      const selected = selectSources(instruction, source, wish.patterns);
      await digestSelected(source, selected); // loads them
      await placeCopies(draft, {
        source,
        selected,
        inline: wish.inline,
        destination: joinPath(state.config.WorkingDir ?? '/', wish.destination),
        isFolder: /(^|\/)\.?\.?$/.test(wish.destination),
        owner,
        chmod: wish.chmod,
        unpackInto: spool,
        latest: latestOf(build),
      });
      return await build.deps.images.addLayer(draft.toTar(), { createdBy: instruction.text, fast: true });
    } finally {
      await spool?.close();
      await source.close();
    }
  });
}

function octal({ instruction }: StepInput, text: string): number | null {
  if (text === '') return null;
  if (/^[0-7]{3,4}$/.test(text)) return Number.parseInt(text, 8);
  throw refuse(instruction, `--chmod=${text.slice(0, 32)} is not an octal mode like 755.`);
}

function refuseUnsupported({ instruction }: StepInput, words: readonly string[]): void {
  refuseFlags(instruction, {
    parents: 'is not supported yet.',
    exclude: 'is not supported yet; name it in .dockerignore.',
    checksum: 'is for URLs, which ADD does not fetch here.',
    'keep-git-dir': 'is for repositories, which ADD does not fetch here.',
    unpack: 'is not supported yet; COPY does not unpack.',
  });
  if (instruction.keyword !== 'ADD') return;
  const remote = words.find((word) => /^([a-z][a-z0-9+.-]*:\/\/|git@)/i.test(word));
  if (remote !== undefined)
    throw dockerfileError(
      instruction.file,
      instruction.argsAt,
      'ADD: URLs are not fetched.',
      'Fetch it with RUN (curl, wget, git), or put it in the context.',
    );
}
