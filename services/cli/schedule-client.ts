/** The part of the API about schedules. */
import type { ScheduleRequest } from '../core/triggers/schedules/types.ts';
import type { ScheduleDetailView, ScheduleView } from '../core/triggers/schedules/view.ts';
import { connect, jsonCaller } from './client.ts';

export interface ScheduleClient {
  put(name: string, request: ScheduleRequest): Promise<ScheduleView>;
  list(): Promise<ScheduleView[]>;
  get(name: string): Promise<ScheduleDetailView>;
  remove(name: string): Promise<void>;
  pause(name: string): Promise<ScheduleView>;
  resume(name: string): Promise<ScheduleView>;
  run(name: string): Promise<{ id: string }>;
  preview(name: string, count: number): Promise<number[]>;
  previewTiming(timing: Omit<ScheduleRequest, 'functionName'>, count: number): Promise<number[]>;
}

type Next = { next: number[] };

export function createScheduleClient(env: Record<string, string | undefined>): ScheduleClient {
  const json = jsonCaller(connect(env));
  const at = (name: string) => `/v1/schedules/${encodeURIComponent(name)}`;
  return {
    put: (name, request) => json('PUT', at(name), request),
    list: async () => (await json<{ schedules: ScheduleView[] }>('GET', '/v1/schedules')).schedules,
    get: (name) => json('GET', at(name)),
    remove: async (name) => void (await json('DELETE', at(name))),
    pause: (name) => json('POST', `${at(name)}/pause`),
    resume: (name) => json('POST', `${at(name)}/resume`),
    run: (name) => json('POST', `${at(name)}/run`),
    preview: async (name, count) => (await json<Next>('GET', `${at(name)}/preview?count=${count}`)).next,
    previewTiming: async (timing, count) =>
      (await json<Next>('POST', '/v1/schedules/preview', { ...timing, count })).next,
  };
}
