/** RUN and WORKDIR: each gets the stage before it, and gives its key and a way to make the layer. COPY and ADD are in copy-step.ts. */
import { homeOf, processIds, type UserIds } from './accounts.ts';
import { partsOf } from './file-tree.ts';
import { DEFAULT_PATH, DEFAULT_SHELL } from './metadata.ts';
import { readMounts } from './mount-options.ts';
import { mountKeys, prepareMounts } from './run-mounts.ts';
import { isProxyArg } from './scope.ts';
import { layerNames } from './stage-state.ts';
import { oneFlag, refuseFlags } from './stages.ts';
import { stepKey } from './step-cache.ts';
import { accounts, addLayer, type LayerStep, newDraft, placed, type StepInput } from './step-tools.ts';
import { type Instruction, refuse } from './types.ts';

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
          build.deps.runner.run(step, async ({ pack, adopt }) => {
            await prepared.saveCaches(pack);
            const tar = prepared.clean(await pack());
            // What lay in a mount is in the difference, but not in the layer.
            return addLayer(input, tar, mounts.length === 0 ? adopt : undefined);
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
  const { build, state } = input;
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
        return addLayer(input, draft.toTar());
      }),
  };
}
