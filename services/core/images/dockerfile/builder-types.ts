/** What an image build is given, says, and gives back. */
import type { Readable } from 'node:stream';
import type { SourceTree } from '../../functions/source/index.ts';
import type { RemoteFiles } from '../remote-files.ts';
import type { Digest, Image, ImageStore } from '../types.ts';
import type { UserIds } from './accounts.ts';

export interface ImageBuildOptions {
  /** Name of the Dockerfile in the context; default `Dockerfile`. */
  dockerfile?: string;
  /** The Dockerfile itself, when it is not in the context; then `dockerfile` is only its name in messages. */
  dockerfileText?: string;
  target?: string;
  buildArgs?: Record<string, string>;
  /** Id -> value, for `RUN --mount=type=secret`. In no layer, no key, no log of ours. */
  secrets?: Record<string, string>;
  noCache?: boolean;
  /** Names of the image; without one it is called `build/<id>`. */
  tags?: string[];
}

export interface ImageBuildRequest extends ImageBuildOptions {
  context: SourceTree;
  signal: AbortSignal;
}

export interface BuiltImage {
  /** Manifest digest. */
  digest: Digest;
  tags: string[];
  layers: number;
  /** Compressed bytes of all layers. */
  bytes: number;
  /** Steps that made a layer now, and that were reused. */
  stepsRun: number;
  stepsCached: number;
}

export type ImageBuildEvent =
  | { type: 'step'; step: string; state: 'start' | 'done' | 'cached'; ms?: number }
  | { type: 'log'; step: string; stream: 'stdout' | 'stderr'; text: string };

export type OnBuildEvent = (event: ImageBuildEvent) => void;

/** One RUN. */
export interface RunStep {
  step: string;
  /** Root file system, bottom first, as the engine names them. */
  layers: string[];
  argv: string[];
  /** Nothing else is set. */
  env: Record<string, string>;
  cwd: string;
  /** Null: root. */
  user: UserIds | null;
  network: 'default' | 'none';
  /** Read-only inside, in no layer; a path below `/dev/shm` leaves no trace at all. */
  files: Record<string, { content: string | Buffer; executable?: boolean }>;
  /** No file of the difference is newer, in seconds. */
  latest: number | undefined;
  signal: AbortSignal;
  onOutput: (stream: 'stdout' | 'stderr', line: string) => void;
}

/** The difference that the step made, or the part of it at these paths, as a layer tar. */
export type PackDifference = (only?: string[]) => Promise<Readable>;

/** What a step wrote. */
export interface StepDifference {
  pack: PackDifference;
  /** Once all of it was packed: it becomes the unpacked layer of this name, without a copy. False when the tar is not just what is there. */
  adopt(layer: string): Promise<boolean>;
}

/** Runs code, which core can not. Given by the worker. */
export interface StepRunner {
  /** What the step wrote is gone when `use` has ended. @throws WaferError `build_failed` with `details.output` */
  run<T>(step: RunStep, use: (difference: StepDifference) => Promise<T>): Promise<T>;
}

export interface ImageBuilderDeps {
  images: ImageStore;
  runner: StepRunner;
  /** For ADD of URLs. */
  remotes: RemoteFiles;
  /** Directory (0700) for spools. */
  tmpDir: string;
  /** `FROM` and `--from`. @throws WaferError `image_not_found` */
  resolveImage: (reference: string) => Promise<Image>;
  /** The whole form of a name that the image is to get. @throws WaferError `invalid_name` for one that is not the user's to take */
  nameForTag: (tag: string) => string;
}
