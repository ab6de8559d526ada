export const volumeArgument = {
  name: { type: 'positional', description: 'Volume', valueHint: 'NAME', required: true },
} as const;

export const refArgument = {
  name: { type: 'positional', description: 'Volume, or NAME@SNAPSHOT', valueHint: 'NAME', required: true },
} as const;

export const snapshotArgument = {
  snapshot: { type: 'positional', description: 'Snapshot', valueHint: 'SNAPSHOT', required: true },
} as const;

export const limitFlags = {
  size: { type: 'string', valueHint: 'SIZE', description: 'Bytes that it may take, like 100m or 2g' },
  inodes: { type: 'string', valueHint: 'N', description: 'Files, directories and links that it may have' },
} as const;
