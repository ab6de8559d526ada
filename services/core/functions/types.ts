/** Functions, versions and aliases as stored; see schema.ts for what a user writes. */
import type { Readable } from 'node:stream';
import type { TransferEvent } from '../images/progress.ts';
import type { FunctionConfig } from './schema.ts';

export interface FunctionVersion {
  functionName: string;
  /** 1, 2, 3, ... per function; never reused. */
  number: number;
  /** Manifest digest, `sha256:...`; the version *is* this OCI image. */
  image: string;
  /** Reference of the base image it was built on, e.g. `node24`; empty when its image is its whole root. */
  base: string;
  config: FunctionConfig;
  createdAt: number;
  /** Bytes of the archive's files; bytes this version added to the store. */
  codeBytes: number;
  addedBytes: number;
  /** What its blanks should have loaded of Node, as far as the build saw; absent for next to nothing. */
  preload?: Preload;
  /** Where the image came from when it was not built from the folder's code over a base image. */
  from?: VersionSource;
}

/** `web`: HTTP, TLS, cryptography; `fetch`: these, and `fetch` with its classes. */
export type Preload = 'web' | 'fetch';

/** A reference as it was given, or the path of a Dockerfile in the folder. */
export type VersionSource = { kind: 'image'; reference: string } | { kind: 'dockerfile'; path: string };

export interface FunctionRecord {
  name: string;
  createdAt: number;
  /** alias -> version number; `live` always exists. */
  aliases: Record<string, number>;
  latest: number;
}

export interface FunctionStore {
  list(): Promise<FunctionRecord[]>;
  /** @throws WaferError `function_not_found` */
  get(name: string): Promise<FunctionRecord>;
  versions(name: string): Promise<FunctionVersion[]>;
  /** @throws WaferError `function_not_found | version_not_found | alias_not_found` */
  resolve(name: string, selector?: { alias?: string; version?: number }): Promise<FunctionVersion>;
  /** Stores the next version and moves `live` in one atomic step. */
  publish(version: Omit<FunctionVersion, 'number' | 'createdAt'>): Promise<FunctionVersion>;
  setAlias(name: string, alias: string, version: number): Promise<FunctionRecord>;
  remove(name: string): Promise<void>;
}

/** Files that were sent. An archive is untrusted. */
export type UploadSource =
  | { kind: 'archive'; format: 'tar.gz' | 'zip'; stream: Readable }
  | { kind: 'files'; files: Record<string, string | { base64: string }> };

/** What a deploy hands over. `reference`: tag, digest, or name of an image elsewhere, which is pulled when the store has it not. */
export type DeploySource = UploadSource | { kind: 'image'; reference: string };

export interface DeployRequest {
  name: string;
  source: DeploySource;
  /** Settings from the request; they win over the archive's wafer.json, and over an image's labels. */
  config?: unknown;
  signal: AbortSignal;
}

export type BuildEvent =
  | { type: 'step'; step: string; state: 'start' | 'done' | 'cached'; ms?: number }
  | { type: 'log'; step: string; stream: 'stdout' | 'stderr'; text: string }
  /** How far a layer of the step `pull image` is. */
  | TransferEvent
  | { type: 'deployed'; version: FunctionVersion };

/** Builds a version and publishes it. Implemented by the worker, called by the API. */
export interface Deployer {
  /**
   * `onEvent` gets every step and output line as it happens and must not throw.
   * A failure leaves the old version serving and nothing new in the store.
   * @throws WaferError `invalid_config | invalid_archive | archive_too_large | unknown_runtime | missing_handler |
   * build_failed | invalid_dockerfile | image_not_found | invalid_image`, and what a pull throws
   */
  deploy(request: DeployRequest, onEvent: (event: BuildEvent) => void): Promise<FunctionVersion>;
  /** Removes the function, ends its instances, and frees what only it used of the store. @throws WaferError `function_not_found` */
  remove(name: string): Promise<void>;
}
