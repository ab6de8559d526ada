/** Names of containers: checked, made up, and found again. */
import { randomInt } from 'node:crypto';
import { WaferError } from '../errors.ts';

export const CONTAINER_NAME = '^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$';
const NAME = new RegExp(CONTAINER_NAME);
const MIN_PREFIX = 4;

const QUALITIES =
  'amber brisk calm clear crisp deep early even fair fine fresh golden keen kind late light lively lucid mellow mild neat plain prompt proud quick quiet rapid ripe round sharp silent sleek solid steady still sunny swift tidy vivid warm'.split(
    ' ',
  );
const THINGS =
  'acorn anchor badger beacon birch brook cedar comet coral crane delta ember falcon fern finch fjord garnet harbor heron island juniper kestrel lagoon lantern linden maple meadow otter pebble pine prairie quartz raven river robin sparrow summit thistle walnut willow'.split(
    ' ',
  );

/** @throws WaferError `invalid_name` */
export function checkContainerName(name: string): string {
  if (NAME.test(name)) return name;
  throw new WaferError('invalid_name', `${JSON.stringify(name.slice(0, 100))} can not be the name of a container.`, {
    hint: 'A name is 1 to 64 letters, digits, "_", "." and "-", and begins with a letter or a digit.',
  });
}

const pick = (words: readonly string[]) => words[randomInt(words.length)] ?? '';

/** Two words, and a number when chance has no free pair left. */
export function newContainerName(isTaken: (name: string) => boolean): string {
  for (let tries = 0; ; tries += 1) {
    const name = `${pick(QUALITIES)}-${pick(THINGS)}${tries < 8 ? '' : `-${randomInt(10 ** 6)}`}`;
    if (!isTaken(name)) return name;
  }
}

interface Named {
  id: string;
  name: string;
}

/** By id, by name, or by the beginning of an id that only one has. @throws WaferError `container_not_found | conflict` */
export function findContainer<T>(all: Iterable<T>, nameOf: (one: T) => Named, ref: string): T {
  const known = [...all];
  const exact = known.find((one) => nameOf(one).id === ref) ?? known.find((one) => nameOf(one).name === ref);
  if (exact !== undefined) return exact;
  const found = ref.length < MIN_PREFIX ? [] : known.filter((one) => nameOf(one).id.startsWith(ref));
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first;
  if (first === undefined) throw containerNotFound(ref);
  throw new WaferError('conflict', `${ref.slice(0, 64)} is the beginning of ${found.length} ids; write more of it.`);
}

export const containerNotFound = (ref: string) =>
  new WaferError('container_not_found', `There is no container ${JSON.stringify(ref.slice(0, 100))}.`, {
    hint: '"wafer ps -a" lists the containers.',
  });
