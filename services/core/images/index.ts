export { chainIds, isDigest } from './digest.ts';
export { createImageService, type ImageService } from './service.ts';
export { GRACE_MS, type ImageStoreOptions, openImageStore } from './store.ts';
