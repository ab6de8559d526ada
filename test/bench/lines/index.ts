/** Every line of the bench, in the order in which they are measured: those that share a platform follow each other. */
import type { Line } from '../types.ts';
import { lines as async } from './async.ts';
import { lines as bundle } from './bundle.ts';
import { lines as burst } from './burst.ts';
import { lines as containers } from './containers.ts';
import { lines as deploy } from './deploy.ts';
import { lines as egress } from './egress.ts';
import { cold, first, python } from './first-calls.ts';
import { lines as idle } from './idle.ts';
import { lines as images } from './images.ts';
import { lines as thousand } from './thousand.ts';
import { lines as volumes } from './volumes.ts';
import { lines as warm } from './warm.ts';

export const LINES: readonly Line[] = [
  first,
  python,
  ...bundle,
  ...containers,
  ...warm,
  ...volumes,
  ...deploy,
  ...async,
  ...images,
  ...egress,
  cold,
  ...burst,
  ...thousand,
  ...idle,
];
