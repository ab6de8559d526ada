/** What a worker needs, and what it gives the rest of the platform. */
import type { EngineInfo, EngineStats } from '../../runtime/sandbox/index.ts';
import type { Config } from '../core/config.ts';
import type { EgressSink } from '../core/egress/types.ts';
import type { FunctionConfig } from '../core/functions/schema.ts';
import type { Deployer, FunctionStore, FunctionVersion } from '../core/functions/types.ts';
import type { ImageBuilds } from '../core/images/dockerfile/builds.ts';
import type { RegistryClient } from '../core/images/registry/client.ts';
import type { ImageNames } from '../core/images/reserved.ts';
import type { ImageStore } from '../core/images/types.ts';
import type { Dispatcher, LogSink } from '../core/invocations/types.ts';
import type { Log } from '../core/log.ts';
import type { InstanceSums } from '../core/readings/types.ts';
import type { VolumeTotals } from '../core/volumes/totals.ts';
import type { Volumes } from '../core/volumes/types.ts';
import type { BaseImages, BaseProgress } from './base-images/index.ts';
import type { ContainerService } from './containers/index.ts';
import type { EgressTotals } from './egress/index.ts';
import type { Instance } from './instances/instance.ts';
import type { Pool } from './pool/types.ts';
import type { SecretsHere } from './secrets/bind.ts';

export interface WorkerDeps {
  config: Config;
  /** Where `runtime/` and `infra/` lie. */
  packageRoot: string;
  /** Short directory (0700) for the host socket. */
  runDir: string;
  functions: FunctionStore;
  logs: LogSink;
  /** Where functions connected to. */
  egressLog: EgressSink;
  /** Values for instances that start, and who is told of newer ones. */
  secrets: SecretsHere;
  /** For deploys of images that the store has not. */
  registry: RegistryClient;
  log: Log;
  env: NodeJS.ProcessEnv;
  /** Before a version is kept: where its onSuccess and onFailure lead. @throws WaferError `invalid_config` */
  assertFollowers?: (config: Pick<FunctionConfig, 'onSuccess' | 'onFailure'>) => Promise<void>;
  /** Before an instance starts: brings the image of a version that was built by another worker. */
  obtain?: (version: FunctionVersion, images: ImageStore) => Promise<void>;
}

export interface Worker {
  /** The store; the pool follows `live` when it moves. */
  readonly functions: FunctionStore;
  readonly dispatcher: Dispatcher;
  readonly deployer: Deployer;
  readonly images: ImageStore;
  readonly names: ImageNames;
  readonly imageBuilds: ImageBuilds;
  readonly bases: BaseImages;
  readonly engine: () => EngineInfo;
  readonly pool: Pool<Instance>;
  readonly containers: ContainerService;
  readonly volumes: Volumes;
  /** See `TurnDeps`. */
  hasWritten(invocationId: string): boolean;
  prepareBases(onProgress: (progress: BaseProgress) => void): Promise<void>;
  /** Starts the instances that versions ask to be kept, and the blanks for the others. */
  keepWarm(): Promise<void>;
  healthy(): Promise<boolean>;
  /** Counts since the start, and what is there now. */
  readonly totals: { egress(): EgressTotals; volumes(): VolumeTotals; sums(): InstanceSums };
  /** Of the engine that runs now. @throws SandboxError when there is none */
  engineStats(): Promise<EngineStats>;
  /** Lets running calls finish until the signal aborts. */
  close(signal: AbortSignal): Promise<void>;
}
