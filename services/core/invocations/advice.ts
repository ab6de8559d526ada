/** What would make the starts of a version rarer or faster. Each rule speaks only of what was seen or is so now. */
import type { FunctionVersion } from '../functions/types.ts';
import type { Explanation, KindTimes } from './explain.ts';

export const ADVICE_CODES = [
  'program_per_call',
  'no_reuse',
  'own_root',
  'own_command',
  'other_base',
  'blanks_off',
  'no_blank_ready',
  'no_blank_memory',
  'slow_init',
  'slow_first_handler',
  'evicted',
  'busy',
  'idle',
  'ended',
  'waits_for_room',
] as const;
export type AdviceCode = (typeof ADVICE_CODES)[number];

export interface Advice {
  code: AdviceCode;
  /** One sentence: what was seen, in numbers. */
  seen: string;
  /** One sentence: what to do about it. */
  help: string;
}

export interface AdviceInput extends Pick<Explanation, 'kinds' | 'causes' | 'noBlank' | 'facts'> {
  version: FunctionVersion;
  /** Of all calls that waited for a start. */
  all: KindTimes;
}

type Rule = (input: AdviceInput) => Advice | null;

/** In this order: what can be done once and for all comes first. */
export const adviseOn = (input: AdviceInput): Advice[] =>
  RULES.map((rule) => rule(input)).filter((advice) => advice !== null);

/** Below it nobody waits: a blank's own part is about a millisecond. */
const SLOW_MS = 5;
/** What a blank is counted with. */
const BLANK_MB = 16;

const programPerCall: Rule = ({ version: { config }, all }) =>
  config.runtime !== 'image' || all.calls === 0
    ? null
    : {
        code: 'program_per_call',
        seen: `The program of the image is started for each call: ${starts(all.calls)}, ${ms(all.wall.p50)} from request to answer (p50).`,
        help: 'Make it a server that listens on a port (EXPOSE in its Dockerfile, or "runtime": "http"): then one start serves many calls.',
      };

const noReuse: Rule = ({ version: { config }, all }) =>
  config.runtime === 'image' || config.reuse !== false || all.calls === 0
    ? null
    : {
        code: 'no_reuse',
        seen: `Each call has an instance of its own ("reuse": false): ${starts(all.calls)}, ${ms(all.wall.p50)} from request to answer (p50).`,
        help: 'Where calls may share what others left in memory and /tmp, leave it out: then one instance serves many.',
      };

/** Its instances end with their calls, so that says nothing. */
const endsWithCalls = ({ runtime, reuse }: FunctionVersion['config']) => runtime === 'image' || reuse === false;

const ownRoot: Rule = ({ version: { config }, noBlank, facts, kinds: { cold } }) =>
  noBlank.own_root === undefined || facts.blank !== 'own_root' || cold === undefined
    ? null
    : {
        code: 'own_root',
        seen: `${starts(noBlank.own_root, 'cold')}: its image is its whole root, so no blank fits; making the sandbox and booting ${config.runtime} in it took ${ms(cold.phases.sandbox.p50 + cold.phases.boot.p50)} (p50).`,
        help: `Where it needs no packages of the system, deploy the folder without its Dockerfile: over a base image first calls take a blank. ${keepOne(config)}`.trim(),
      };

const ownCommand: Rule = ({ version: { config }, noBlank, kinds: { cold } }) =>
  config.runtime !== 'http' || noBlank.own_program === undefined || cold === undefined
    ? null
    : {
        code: 'own_command',
        seen: `${starts(noBlank.own_program, 'cold')}: blanks have no server of a function; until its command listened it took ${ms(cold.phases.init.p50)} (p50).`,
        help: `Listen before everything else that the server does when it starts. ${keepOne(config)}`.trim(),
      };

const otherBase: Rule = ({ version: { base, from }, noBlank, facts }) =>
  noBlank.other_base === undefined || facts.blank !== 'other_base' || base === '' || from !== undefined
    ? null
    : {
        code: 'other_base',
        seen: `${starts(noBlank.other_base, 'cold')}: it was built before the base image ${base} changed, so no blank fits.`,
        help: 'Deploy it again: it is built over the base image as it is now.',
      };

const blanksOff: Rule = ({ noBlank, facts }) =>
  noBlank.off === undefined || facts.blank !== 'off'
    ? null
    : {
        code: 'blanks_off',
        seen: `${starts(noBlank.off, 'cold')}: no blanks are kept (WAFER_BLANKS=0).`,
        help: 'Start the platform with WAFER_BLANKS=2 (the default): first calls then find a runtime that has booted.',
      };

const noneReady: Rule = ({ version: { base, config }, noBlank, facts, all }) => {
  if (noBlank.none_ready === undefined || facts.blank !== 'fits') return null;
  const found = `${noBlank.none_ready} of ${starts(all.calls)} found no blank ready`;
  const { memoryBudgetMb: budget, memoryUsedMb: used, blanksKept } = facts;
  if (budget - used < BLANK_MB * blanksKept)
    return {
      code: 'no_blank_memory',
      seen: `${found}; blanks have the memory that instances leave, and those use ${used} of ${budget} MB now.`,
      help: 'Raise WAFER_MEMORY_MB, or lower memoryMb of functions that need less.',
    };
  return {
    code: 'no_blank_ready',
    seen: `${found}: first calls on ${base} came faster than blanks boot.`,
    help: `Raise WAFER_BLANKS (now ${blanksKept}). ${keepOne(config)}`.trim(),
  };
};

const NOT_COMPILED =
  'Deploy it again, so that its code is compiled (it was built before deploys did that, or its deploy said why not). ';

const slowInit: Rule = ({ version: { base, from, config }, facts, all }) => {
  const { init } = all.phases;
  const isPart = init.p50 >= SLOW_MS && init.p50 >= all.wall.p50 / 2;
  if (!isPart || (config.runtime !== 'node' && config.runtime !== 'python')) return null;
  const layers = facts.layers.map(({ createdBy, bytes }) => `${createdBy} ${size(bytes)}`).join(', ');
  const isBundled = !facts.layers.some(({ createdBy }) => createdBy.startsWith('npm '));
  // What is small without npm packages is not compiled ahead.
  const isCompiled = isBundled || facts.layers.some(({ createdBy }) => createdBy === 'compile');
  const hasOwnRoot = base === '' || from !== undefined;
  const first = isBundled ? 'Import' : 'Bundle the code and its dependencies into one file, import';
  return {
    code: 'slow_init',
    seen: `Loading the code takes ${ms(init.p50)} of the ${ms(all.wall.p50)} of a start (p50)${layers === '' ? '' : `; layers above the base, compressed: ${layers}`}.`,
    help: `${isCompiled || hasOwnRoot ? '' : NOT_COMPILED}${first} inside the handler what only some calls need, and connect to other services when they are first used.`,
  };
};

const slowFirstHandler: Rule = ({ version: { config }, kinds: { warm }, all }) => {
  const { handler } = all.phases;
  if (warm === undefined || endsWithCalls(config) || all.calls === 0) return null;
  const later = warm.phases.handler.p50;
  if (handler.p50 - later < SLOW_MS || handler.p50 < all.wall.p50 / 2 || handler.p50 < 2 * later) return null;
  return {
    code: 'slow_first_handler',
    seen: `The handler takes ${ms(handler.p50)} in the first call of an instance and ${ms(later)} in later ones (p50): it does something once.`,
    help: `Do that when the module loads${config.minInstances > 0 ? '' : ', and keep an instance ("minInstances": 1)'}: then it is done before the call comes.`,
  };
};

const evicted: Rule = ({ version: { config }, causes, facts }) =>
  causes.evicted === undefined
    ? null
    : {
        code: 'evicted',
        seen: `${starts(causes.evicted)} because another version had needed the memory of its last instance; instances use ${facts.memoryUsedMb} of ${facts.memoryBudgetMb} MB now.`,
        help: `Raise WAFER_MEMORY_MB, or lower memoryMb (here ${config.memoryMb}) of functions that need less. ${keepOne(config)}`.trim(),
      };

const busy: Rule = ({ version: { config }, causes }) =>
  causes.busy === undefined || endsWithCalls(config)
    ? null
    : {
        code: 'busy',
        seen: `${starts(causes.busy)} because each instance had ${config.concurrency === 1 ? 'a call' : `${config.concurrency} calls`} already.`,
        help: `A higher "concurrency" (now ${config.concurrency}) lets calls that wait for something else share an instance; for code that computes, "minInstances" (now ${config.minInstances}) keeps more of them.`,
      };

const idle: Rule = ({ version: { config }, causes }) =>
  causes.idle === undefined || config.minInstances > 0 || endsWithCalls(config)
    ? null
    : {
        code: 'idle',
        seen: `${starts(causes.idle)} because its last instance had ended after a while without calls.`,
        help: `${keepOne(config)} WAFER_IDLE_MS keeps those of all functions longer.`,
      };

const ended: Rule = ({ version: { functionName, config }, causes }) =>
  causes.ended === undefined || endsWithCalls(config)
    ? null
    : {
        code: 'ended',
        seen: `${starts(causes.ended)} because its last instance had failed (time-out, crash, memory) or was replaced.`,
        help: `\`wafer logs ${functionName}\` shows what it said before.`,
      };

const waitsForRoom: Rule = ({ version: { config }, kinds: { warm }, facts }) => {
  if (warm === undefined || warm.phases.queue.p99 < 2 * SLOW_MS || warm.phases.queue.p99 < warm.phases.handler.p50)
    return null;
  return {
    code: 'waits_for_room',
    seen: `Calls wait up to ${ms(warm.phases.queue.p99)} (p99) until an instance has room; instances use ${facts.memoryUsedMb} of ${facts.memoryBudgetMb} MB now.`,
    help: `Raise "concurrency" (now ${config.concurrency}) or "minInstances" (now ${config.minInstances}), and WAFER_MEMORY_MB when it is used up.`,
  };
};

const RULES: readonly Rule[] = [
  programPerCall,
  noReuse,
  ownRoot,
  ownCommand,
  otherBase,
  blanksOff,
  noneReady,
  slowInit,
  slowFirstHandler,
  evicted,
  busy,
  idle,
  ended,
  waitsForRoom,
];

/** Empty when one is kept already. */
const keepOne = ({ minInstances, memoryMb }: FunctionVersion['config']) =>
  minInstances > 0 ? '' : `"minInstances": 1 keeps an instance, for ${memoryMb} MB of the memory budget.`;

const starts = (count: number, kind = '') => `${count} ${kind}${kind && ' '}start${count === 1 ? '' : 's'}`;
const ms = (value: number) =>
  value < 1000 ? `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms` : `${(value / 1000).toFixed(1)} s`;
const size = (bytes: number) =>
  bytes < 1024 * 1024 ? `${Math.max(1, Math.round(bytes / 1024))} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`;
