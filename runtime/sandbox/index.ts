/** The host side of sandboxes and of the runtimes in them; the only part of `runtime` that services import. */
export {
  type CancelSignal,
  type CodeCacheUse,
  openRuntime,
  type RuntimeCall,
  type RuntimeCallHead,
  type RuntimeConnection,
  type RuntimeEnd,
  type RuntimeFailure,
  type RuntimeOptions,
  type RuntimeResult,
  takeWhole,
} from '../protocol/index.ts';
export { type EgressVerdict, HOST_NAME } from './egress/index.ts';
export { openSandboxHost } from './sandbox-host.ts';
export { openSupervisedHost } from './supervised-host.ts';
export {
  type Attachment,
  type EgressPolicy,
  type EgressRule,
  type EngineInfo,
  type EngineStats,
  type LimitMode,
  MAX_ATTACHED_LAYERS,
  type OutputListener,
  type ProgramOptions,
  type Sandbox,
  SandboxError,
  type SandboxExit,
  type SandboxHost,
  type SandboxProcess,
  type SandboxProgram,
  type SandboxSpec,
  type SandboxStats,
  type TerminalSize,
  type UserIds,
  type VolumeMount,
  type Zygote,
  type ZygoteSpec,
} from './types.ts';
