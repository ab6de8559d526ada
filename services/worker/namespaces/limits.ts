/**
 * What all instances of a namespace may have together on this worker: memory, processors and processes, by the limits of
 * their versions. A blank is of no namespace until it is bound: the instance that takes it counts, from when it starts.
 */
import type { Config } from '../../core/config.ts';
import { WaferError } from '../../core/errors.ts';
import type { FunctionConfig } from '../../core/functions/schema.ts';
import type { FunctionVersion } from '../../core/functions/types.ts';
import { refuse } from '../../core/functions/validate.ts';
import type { InstanceSums } from '../../core/readings/types.ts';
import { DEFAULT_NAMESPACE } from '../../core/store/keys.ts';
import { STANDARD_LIMITS } from '../instances/plan.ts';
import type { Ceiling } from '../pool/room.ts';

export type NamespaceSettings = Pick<Config, 'namespaceMemoryMb' | 'namespaceCpu' | 'namespacePids'>;
type Limited = Partial<Pick<FunctionConfig, 'memoryMb' | 'cpu' | 'pids'>>;

export interface NamespaceLimits {
  /** For the pool: strict ones. */
  readonly ceilings: readonly Ceiling[];
  /** Before a version is kept. @throws WaferError `invalid_config` for one of which not even one instance could run */
  assertFits(config: Limited): void;
  /** What the sandbox of a version gets since there is a limit for all: a processor that it did not limit itself. */
  of(config: Limited): { cpuMillis?: number };
  sums(add: (amountOf: (version: FunctionVersion) => number) => number): InstanceSums;
}

const MILLI = 1000;
const STANDARD_MEMORY_MB = 256;
/** Of a version that has none, where there is a limit for all. */
const STANDARD_CPU = 1;

interface Resource {
  key: 'memoryMb' | 'cpu' | 'pids';
  env: string;
  limit: number | null;
  amountOf: (config: Limited) => number;
  text: (amount: number) => string;
  /** Behind the first amount of a sentence. */
  of: string;
}

/** Everything is in one until there are more. */
const namespaceOf = (_version: FunctionVersion): string => DEFAULT_NAMESPACE;

export function createNamespaceLimits(settings: NamespaceSettings, scopeOf = namespaceOf): NamespaceLimits {
  const all = resourcesOf(settings);
  const limited = all.flatMap(({ limit, ...one }) => (limit === null ? [] : [{ ...one, limit }]));
  const cpu = limited.find(({ key }) => key === 'cpu');
  return {
    ceilings: limited.map((resource) => ({
      limit: resource.limit,
      amountOf: ({ config }) => resource.amountOf(config),
      scopeOf,
      refuse: (version, used) => refusal(resource, version, used),
    })),
    assertFits(config) {
      const problems = limited.filter(({ limit, amountOf }) => amountOf(config) > limit);
      if (problems.length > 0) throw refuse(problems.map((one) => tooLarge(one, config)));
    },
    of: (config) => (cpu === undefined ? {} : { cpuMillis: cpu.amountOf(config) }),
    sums: (add) => ({
      used: valuesOf(all, ({ amountOf }) => add(({ config }) => amountOf(config))),
      limit: valuesOf(limited, ({ limit }) => limit),
    }),
  };
}

function resourcesOf({ namespaceMemoryMb, namespaceCpu, namespacePids }: NamespaceSettings): Resource[] {
  const standardCpu = Math.min(STANDARD_CPU, namespaceCpu ?? STANDARD_CPU);
  return [
    {
      key: 'memoryMb',
      env: 'WAFER_NAMESPACE_MEMORY_MB',
      limit: namespaceMemoryMb,
      amountOf: ({ memoryMb = STANDARD_MEMORY_MB }) => memoryMb,
      text: (amount) => `${amount} MiB`,
      of: ' of memory',
    },
    {
      key: 'cpu',
      env: 'WAFER_NAMESPACE_CPU',
      limit: namespaceCpu === null ? null : Math.round(namespaceCpu * MILLI),
      amountOf: ({ cpu = standardCpu }) => Math.round(cpu * MILLI),
      text: (amount) => `${amount / MILLI} processors`,
      of: '',
    },
    {
      key: 'pids',
      env: 'WAFER_NAMESPACE_PIDS',
      limit: namespacePids,
      amountOf: ({ pids = STANDARD_LIMITS.pids }) => pids,
      text: (amount) => `${amount} processes`,
      of: '',
    },
  ];
}

function refusal(resource: Resource & { limit: number }, version: FunctionVersion, used: number): WaferError {
  const { key, env, limit, amountOf, text, of } = resource;
  const { functionName, number, config } = version;
  const wants = `An instance of ${functionName} v${number} may have ${text(amountOf(config))}${of}`;
  const less = `lower ${key} in wafer.json, or raise ${env}`;
  if (used === 0)
    return new WaferError('namespace_limit', `${wants}; all instances together may have ${text(limit)}.`, {
      hint: `${less[0]?.toUpperCase()}${less.slice(1)}.`,
    });
  const taken = `of the ${text(limit)} for all instances together, others have ${text(used)}`;
  return new WaferError('namespace_limit', `${wants}; ${taken}, and not enough came free in ${config.timeoutMs} ms.`, {
    hint: `Try again in a moment; or ${less}.`,
  });
}

const tooLarge = ({ key, env, limit, amountOf, text, of }: Resource & { limit: number }, config: Limited) => ({
  path: `/${key}`,
  problem: `an instance may have ${text(amountOf(config))}${of}, and all together ${text(limit)} (${env})`,
});

const NAMES = { memoryMb: 'memory_bytes', cpu: 'cpu', pids: 'pids' } as const;
const UNITS = { memoryMb: 1024 * 1024, cpu: 1 / MILLI, pids: 1 } as const;

/** As metrics are: bytes, cores. */
const valuesOf = <T extends Pick<Resource, 'key'>>(resources: readonly T[], read: (one: T) => number) =>
  Object.fromEntries(resources.map((one) => [NAMES[one.key], read(one) * UNITS[one.key]]));
