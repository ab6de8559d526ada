/** `--filter key=value` of `wafer ps`. */
import type { Container } from '../../core/containers/types.ts';
import { WaferError } from '../../core/errors.ts';
import { suggest } from '../suggest.ts';

type Test = (container: Container, value: string) => boolean;

const TESTS: Record<string, Test> = {
  name: ({ name }, value) => name.includes(value),
  id: ({ id }, value) => id.startsWith(value),
  status: ({ status }, value) => status === value,
  health: ({ health }, value) => (health ?? 'none') === value,
  image: ({ config }, value) => config.image === value || config.image.startsWith(`${value}:`),
  exited: ({ status, exitCode }, value) => status === 'exited' && String(exitCode) === value,
  group: ({ config }, value) => config.network.group === value,
  volume: ({ config }, value) => config.mounts.some(({ volume, path }) => volume === value || path === value),
  label: ({ config }, value) => {
    const equals = value.indexOf('=');
    if (equals === -1) return value in config.labels;
    return config.labels[value.slice(0, equals)] === value.slice(equals + 1);
  },
};

/** Values of one key are alternatives, except labels; keys are all to hold. @throws WaferError `usage` */
export function createFilter(texts: readonly string[]): (container: Container) => boolean {
  const wanted = new Map<string, string[]>();
  for (const text of texts) {
    const [key = '', value] = text.split(/=(.*)/s);
    if (!(key in TESTS) || value === undefined) {
      const similar = suggest(key, Object.keys(TESTS));
      throw new WaferError('usage', `--filter ${text} is not a filter.`, {
        hint:
          similar === null || similar === key
            ? `Write KEY=VALUE; keys are ${Object.keys(TESTS).join(', ')}.`
            : `Did you mean ${similar}=?`,
      });
    }
    wanted.set(key, [...(wanted.get(key) ?? []), value]);
  }
  return (container) =>
    [...wanted].every(([key, values]) => {
      const test = (value: string) => TESTS[key]?.(container, value) === true;
      return key === 'label' ? values.every(test) : values.some(test);
    });
}
