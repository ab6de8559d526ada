/** COPY and ADD: their sources (context, stage, image, URL, heredoc), their keys, and the layer that they make. */
import { openSpool } from '../../functions/source/spool.ts';
import type { LayerInfo } from '../types.ts';
import { ownerIds } from './accounts.ts';
import { latestOf } from './build-context.ts';
import { placeCopies } from './copy-plan.ts';
import { digestSelected, selectSources } from './copy-select.ts';
import { type CopySource, layerSource } from './copy-source.ts';
import { joinPath } from './metadata.ts';
import { isGit, isRemote } from './remotes.ts';
import { expandIn } from './scope.ts';
import { oneFlag, refuseFlags } from './stages.ts';
import { stepKey } from './step-cache.ts';
import { accounts, addLayer, expand, type LayerStep, newDraft, placed, type StepInput } from './step-tools.ts';
import { dockerfileError, refuse } from './types.ts';

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
  const urls = keyword === 'ADD' ? words.filter(isRemote) : [];
  const checksum = readChecksum(input, words, urls);
  const patterns = words.filter((word) => !urls.includes(word) && !heredocs.some((heredoc) => heredoc.word === word));
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
    ...urls,
    checksum ?? '',
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
      const local = await digestSelected(source, selectSources(instruction, source, patterns));
      // With a checksum nothing has to be fetched to know what it is.
      const fetched = checksum === null ? (await fetchAll(input, urls, null)).map(({ digest }) => digest) : [];
      return [local, ...fetched].join(' ');
    } finally {
      await source.close();
    }
  };
  const fine = async () => stepKey(state.key, own, rest, 'content', await contentKey());
  const make = () => makeCopy(input, { patterns, urls, checksum, inline, destination, chown, chmod, open });
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
  urls: string[];
  checksum: string | null;
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
        fetched: await fetchAll(input, wish.urls, wish.checksum),
        destination: joinPath(state.config.WorkingDir ?? '/', wish.destination),
        isFolder: /(^|\/)\.?\.?$/.test(wish.destination),
        owner,
        chmod: wish.chmod,
        unpackInto: spool,
        latest: latestOf(build),
      });
      return await addLayer(input, draft.toTar());
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
    'keep-git-dir': 'is for repositories, which ADD does not clone here.',
    unpack: 'is not supported yet; COPY does not unpack.',
  });
  if (instruction.keyword !== 'ADD') return;
  const git = words.find(isGit);
  if (git === undefined) return;
  throw dockerfileError(
    instruction.file,
    instruction.argsAt,
    `ADD: the repository ${JSON.stringify(git.slice(0, 200))} is not cloned here.`,
    'Clone it with RUN git clone, or put it in the context.',
  );
}

/** Hex digits of `--checksum=sha256:...`; null without one. */
function readChecksum({ instruction, ...input }: StepInput, words: readonly string[], urls: readonly string[]) {
  const text = expand({ ...input, instruction }, oneFlag(instruction, 'checksum') ?? '');
  if (text === '') return null;
  const [, hex] = /^sha256:([0-9a-f]{64})$/.exec(text) ?? [];
  if (hex === undefined)
    throw refuse(instruction, `--checksum=${text.slice(0, 80)} is not sha256: and 64 lower-case hex digits.`);
  if (urls.length !== 1 || words.length !== 1)
    throw refuse(instruction, '--checksum is for one source, which is a URL.');
  return hex;
}

/** @throws WaferError `build_failed` when one can not be had, or is not what its checksum says */
async function fetchAll({ build, instruction }: StepInput, urls: readonly string[], checksum: string | null) {
  const files = await Promise.all(urls.map((url) => build.remotes.get(url, build.signal)));
  const other = files.find(({ digest }) => checksum !== null && digest !== checksum);
  if (other !== undefined)
    throw refuse(instruction, `what was fetched is sha256:${other.digest}, not sha256:${checksum}.`);
  return files;
}
