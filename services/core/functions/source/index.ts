export { DEFAULT_SOURCE_LIMITS, type SourceLimits } from './limits.ts';
export { type PackedFolder, packFolder, readFolderConfig } from './pack-folder.ts';
export { readSource } from './read-source.ts';
export type { SourceEntry, SourceOptions, SourceTree, TarSelection } from './types.ts';
