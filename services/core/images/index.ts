export { chainIds, isDigest } from './digest.ts';
export { GRACE_MS, type ImageStoreOptions, openImageStore } from './store.ts';
