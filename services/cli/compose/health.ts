import type { HealthCheck } from '../../core/containers/types.ts';
import { readSeconds, readWhole } from '../containers/parse.ts';
import { checkKeys } from './keys.ts';
import { refuse } from './places.ts';
import { asBoolean, asMap, asText, asTexts, reading } from './values.ts';
import type { MapValue, Value } from './yaml-tree.ts';

const KEYS = ['test', 'interval', 'timeout', 'retries', 'start_period', 'disable'] as const;

/** Null: switched off. */
export function readHealth(value: Value): HealthCheck | null {
  const map = asMap('healthcheck', value);
  checkKeys(map, 'healthcheck', KEYS, {
    start_interval: 'Leave it out: a starting container is checked every interval.',
  });
  const disable = map.entries.get('disable')?.value;
  if (disable !== undefined && asBoolean('disable', disable)) return null;
  const test = map.entries.get('test')?.value;
  if (test === undefined) throw refuse(map.at, '"healthcheck" has no "test".');
  const argv = readTest(test);
  if (argv === null) return null;
  return {
    test: argv,
    intervalSeconds: span(map, 'interval', 30),
    timeoutSeconds: span(map, 'timeout', 30),
    startPeriodSeconds: span(map, 'start_period', 0),
    retries: number(map, 'retries', 3),
  };
}

function readTest(value: Value): string[] | null {
  if (value.kind === 'text') return ['CMD-SHELL', value.text];
  const words = asTexts('test', value);
  if (words[0] === 'NONE' && words.length === 1) return null;
  if ((words[0] === 'CMD' && words.length > 1) || (words[0] === 'CMD-SHELL' && words.length === 2)) return words;
  throw refuse(value.at, '"test" is a line, or a list that begins with CMD, CMD-SHELL or NONE.');
}

function span(map: MapValue, key: string, otherwise: number): number {
  const value = map.entries.get(key)?.value;
  return value === undefined ? otherwise : reading(value, key, () => readSeconds(asText(key, value)));
}

function number(map: MapValue, key: string, otherwise: number): number {
  const value = map.entries.get(key)?.value;
  return value === undefined ? otherwise : reading(value, key, () => readWhole(asText(key, value)));
}
