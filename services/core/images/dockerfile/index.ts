export { createImageBuilder, type ImageBuilder } from './build-image.ts';
export type {
  BuiltImage,
  ImageBuildEvent,
  ImageBuildOptions,
  ImageBuildRequest,
  OnBuildEvent,
  RunStep,
  StepRunner,
} from './builder-types.ts';
