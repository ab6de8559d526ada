export { openRuntime } from './connection.ts';
export { LIMITS, PROTOCOL_VERSION } from './frames.ts';
export { takeWhole } from './result-body.ts';
export {
  type CallErrorCode,
  type CancelSignal,
  type CodeCacheUse,
  type InitErrorCode,
  type InitResult,
  type InitSettings,
  type ReadyInfo,
  type RuntimeCall,
  type RuntimeCallHead,
  type RuntimeConnection,
  type RuntimeEnd,
  type RuntimeFailure,
  RuntimeGoneError,
  type RuntimeOptions,
  type RuntimeResult,
} from './types.ts';
