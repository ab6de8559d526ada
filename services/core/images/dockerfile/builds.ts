/** Builds as the API asks for them: a context that was uploaded, and options. Implemented by the worker. */
import type { UploadSource } from '../../functions/types.ts';
import type { BuiltImage, ImageBuildOptions, OnBuildEvent } from './builder-types.ts';

export interface ImageBuildUpload extends ImageBuildOptions {
  source: UploadSource;
  signal: AbortSignal;
}

export interface ImageBuilds {
  /**
   * Owns the source. `onEvent` gets every step and output line as it happens and must not throw.
   * @throws WaferError `invalid_dockerfile | invalid_archive | archive_too_large | invalid_name | build_failed`
   */
  build(request: ImageBuildUpload, onEvent: OnBuildEvent): Promise<BuiltImage>;
}
