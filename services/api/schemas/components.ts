/** Schemas that are registered under their names; answers refer to them. */
import type { TSchema } from 'typebox';
import { Accepted, BatchAnswer, Purged, Redriven } from './async.ts';
import { CALLBACK_COMPONENTS } from './callbacks.ts';
import { EgressEntry } from './egress.ts';
import { BuildEvent, FunctionConfig, FunctionRecord, FunctionVersion } from './functions.ts';
import {
  BuiltImage,
  ImageBuildEvent,
  ImageDetail,
  ImageSummary,
  ImageTransfer,
  ImageTree,
  StoreUsage,
  TransferEvent,
} from './images.ts';
import { Explanation, Invocation, LogLine, Outcome, Receipt } from './invocations.ts';
import { BlankInfo, InstanceInfo, Problem, Readiness } from './platform.ts';
import { Schedule, ScheduleDetail } from './schedules.ts';
import { SECRET_COMPONENTS } from './secrets.ts';
import { Volume, VolumeListing, VolumeUsage } from './volumes.ts';

export const COMPONENTS: Record<string, TSchema> = {
  Problem,
  FunctionConfig,
  FunctionVersion,
  FunctionRecord,
  Receipt,
  Outcome,
  Invocation,
  Accepted,
  BatchAnswer,
  Redriven,
  Purged,
  Schedule,
  ScheduleDetail,
  Volume,
  VolumeListing,
  VolumeUsage,
  ...CALLBACK_COMPONENTS,
  ...SECRET_COMPONENTS,
  LogLine,
  EgressEntry,
  Explanation,
  BuildEvent,
  BuiltImage,
  ImageBuildEvent,
  ImageSummary,
  ImageDetail,
  StoreUsage,
  ImageTree,
  ImageTransfer,
  TransferEvent,
  InstanceInfo,
  BlankInfo,
  Readiness,
};
