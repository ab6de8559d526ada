/** Everything that people do with images, over the store: names, transfers, archives, cleaning up. The parts are in commands/. */
import type { Readable } from 'node:stream';
import type { ArchiveFormat } from './archive/save.ts';
import type { ArchiveLimits } from './archive/spool.ts';
import type { Collected } from './collect.ts';
import { localParts } from './commands/local.ts';
import { registryParts } from './commands/registries.ts';
import { rootParts } from './commands/roots.ts';
import { createTools } from './commands/tools.ts';
import { transferParts } from './commands/transfers.ts';
import type { ImageDetail, StoreUsage } from './describe.ts';
import type { ImageTree, VersionOfImage } from './layer-tree.ts';
import type { OnTransfer } from './progress.ts';
import type { RegistryClient } from './registry/client.ts';
import type { Credentials } from './registry/credentials.ts';
import type { SearchOptions, SearchResult } from './registry/search.ts';
import type { ImageNames } from './reserved.ts';
import type { Digest, ImageStore } from './types.ts';

export interface ImageServiceDeps {
  store: ImageStore;
  client: RegistryClient;
  credentials: Credentials;
  defaultRegistry: string | null;
  names: ImageNames;
  /** Every version of every function, for the tree. */
  versions: () => Promise<VersionOfImage[]>;
  /** Containers that need the image, by name. */
  usersOf?: (digest: Digest) => string[];
  /** For archives while they are loaded; made by the caller. */
  tmpDir: string;
  archiveLimits?: Partial<ArchiveLimits>;
}

export interface Transfer {
  onEvent: OnTransfer;
  signal: AbortSignal;
}

export interface Transferred {
  digest: Digest;
  /** The whole name, with registry and tag. */
  name: string;
  /** Of a pull: false when the image was there. */
  isNew?: boolean;
}

export interface PruneOptions {
  /** Also images with names, and the build cache; never the platform's own. */
  all: boolean;
  /** Also layers of build steps and what `RUN --mount=type=cache` keeps. */
  buildCache: boolean;
}

export interface RootImport {
  /** Without one it is called `build/<id>`. */
  tag?: string;
  /** The comment of its history. */
  message?: string;
  /** Dockerfile instructions that change the config: `CMD ["/bin/sh"]`. */
  changes: readonly string[];
  signal: AbortSignal;
}

export interface ImageService {
  inspect(name: string): Promise<ImageDetail>;
  tag(name: string, newName: string): Promise<ImageDetail>;
  /** A tag goes; the image goes with its last one. By digest all its tags go. @throws WaferError `conflict` for the platform's own */
  remove(name: string): Promise<{ untagged: string[]; removed: Digest | null } & Pick<Collected, 'layers' | 'bytes'>>;
  /** What nothing refers to, and builds that nobody named. */
  prune(options: PruneOptions): Promise<Collected & { untagged: string[] }>;
  usage(): Promise<StoreUsage>;
  /** With a name: only images that share a layer with that one. */
  tree(name?: string): Promise<ImageTree>;
  pull(name: string, transfer: Transfer): Promise<Transferred>;
  /** Under its own name, or under `as`. */
  push(name: string, as: string | undefined, transfer: Transfer): Promise<Transferred>;
  /** Owns `archive`. */
  load(archive: Readable, transfer: Transfer): Promise<ImageDetail[]>;
  save(name: string, format: ArchiveFormat): Promise<{ stream: Readable; digest: Digest }>;
  /** A root file system, plain or with gzip, as an image of one layer. Owns `root`. @throws WaferError `invalid_archive | invalid_dockerfile | invalid_name | conflict | disk_full` */
  importRoot(root: Readable, options: RootImport): Promise<ImageDetail>;
  /** The root file system as a sandbox of the image sees it, as one tar. */
  exportRoot(name: string): Promise<{ stream: Readable; digest: Digest }>;
  /** Repositories of a registry, or of the default one. @throws WaferError `registry_failed` when it has no list */
  search(options: SearchOptions & { registry?: string }): Promise<SearchResult>;
  login(registry: string, username: string, password: string, signal: AbortSignal): Promise<void>;
  /** False when there was nothing to forget. */
  logout(registry: string): Promise<boolean>;
  registries(): Promise<string[]>;
}

export function createImageService(deps: ImageServiceDeps): ImageService {
  const tools = createTools(deps);
  return {
    ...localParts(deps, tools),
    ...transferParts(deps, tools),
    ...rootParts(deps, tools),
    ...registryParts(deps),
  };
}
