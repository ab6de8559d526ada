/** Everything the API is given. It reaches functions, images and sandboxes only through these. */
import type { Containers } from '../core/containers/types.ts';
import type { EgressLog } from '../core/egress/types.ts';
import type { Deployer, FunctionStore } from '../core/functions/types.ts';
import type { Distribution } from '../core/images/distribution/service.ts';
import type { ImageBuilds } from '../core/images/dockerfile/builds.ts';
import type { ImageService } from '../core/images/service.ts';
import type { ImageStore } from '../core/images/types.ts';
import type { Again } from '../core/invocations/durable/again.ts';
import type { LocalBodies } from '../core/invocations/durable/bodies.ts';
import type { DurableCalls } from '../core/invocations/durable/types.ts';
import type { LogStore } from '../core/invocations/logs.ts';
import type { InvocationStore } from '../core/invocations/records.ts';
import type { Dispatcher } from '../core/invocations/types.ts';
import type { Log } from '../core/log.ts';
import type { Secrets } from '../core/secrets/index.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { Callbacks } from '../core/triggers/callbacks/types.ts';
import type { Schedules } from '../core/triggers/schedules/types.ts';
import type { Webhooks } from '../core/triggers/webhooks/types.ts';
import type { Volumes } from '../core/volumes/types.ts';
import type { ApiLimits } from './limits.ts';

export interface ReadyCheck {
  name: string;
  ok: boolean;
  /** One sentence when it is not. */
  message?: string;
}

export interface Readiness {
  ok: boolean;
  checks: ReadyCheck[];
}

export interface ApiDeps {
  functions: FunctionStore;
  deployer: Deployer;
  dispatcher: Dispatcher;
  images: Pick<ImageStore, 'list' | 'usage'>;
  imageService: ImageService;
  imageBuilds: ImageBuilds;
  /** What `/v2/` serves. */
  distribution: Distribution;
  containers: Containers;
  volumes: Volumes;
  invocations: Pick<InvocationStore, 'record' | 'get' | 'list' | 'starts'>;
  /** Invocations that are accepted first and run later. */
  durable: DurableCalls;
  /** Large events and results. */
  bodies: Pick<LocalBodies, 'read' | 'put'>;
  /** What was accepted before, once more. */
  again: Again;
  schedules: Schedules;
  /** What follows the end of accepted invocations. */
  callbacks: Callbacks;
  webhooks: Omit<Webhooks, 'close'>;
  secrets: Secrets;
  logs: Pick<LogStore, 'write' | 'read' | 'follow'>;
  /** Where functions connected to. */
  egressLog: Pick<EgressLog, 'read' | 'follow'>;
  /** The API counts calls, refusals and builds, adds its own metrics to the registry, and serves it whole. */
  telemetry: Pick<Telemetry, 'registry' | 'call' | 'refused' | 'build' | 'text' | 'contentType'>;
  log: Log;
  /** Must answer within a moment also when a part is down. */
  ready: () => Promise<Readiness>;
  adminKey: string;
  /** Shown to clients. */
  version: string;
  limits?: Partial<ApiLimits>;
}
