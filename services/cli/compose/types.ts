/** A compose file as Wafer runs it. */
import type { ContainerRequest } from '../container-client.ts';
import type { Place } from './places.ts';

export const CONDITIONS = ['service_started', 'service_healthy', 'service_completed_successfully'] as const;
export type Condition = (typeof CONDITIONS)[number];

export interface Dependency {
  service: string;
  condition: Condition;
  /** False: it need not be in the file, and may fail. */
  required: boolean;
  at: Place;
}

export interface ComposeBuild {
  /** Absolute. */
  context: string;
  dockerfile?: string;
  dockerfileText?: string;
  args: Record<string, string>;
  target?: string;
}

export interface ComposeService {
  name: string;
  at: Place;
  /** Without it, `build` is there. */
  image?: string;
  build?: ComposeBuild;
  containerName?: string;
  dependsOn: Dependency[];
  /** Everything else of the container. */
  settings: Omit<ContainerRequest, 'image' | 'name' | 'labels'> & { labels: Record<string, string> };
}

export interface ComposeProject {
  name: string;
  /** Of the file, absolute. */
  path: string;
  dir: string;
  services: Map<string, ComposeService>;
  /** What a person should know: variables that are not set, files that are not read. */
  warnings: string[];
}
