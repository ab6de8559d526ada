import type { ArgsDef } from 'citty';

export const imageArgument = {
  image: { type: 'positional', description: 'Tag, digest, or the beginning of a digest', required: true },
} as const satisfies ArgsDef;

export const registryArgument = {
  registry: { type: 'positional', description: 'Registry: host or host:port', required: true },
} as const satisfies ArgsDef;

export const outputFlag = {
  output: { type: 'string', alias: 'o', valueHint: 'FILE', description: 'File to write; without it stdout' },
} as const satisfies ArgsDef;
