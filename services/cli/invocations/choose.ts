import { WaferError } from '../../core/errors.ts';
import type { Choice } from '../invocation-client.ts';

/** Exactly one way to say which. @throws WaferError `usage` */
export function chooseDeadLetters(ids: readonly string[], name: string | undefined, all: boolean): Choice {
  const ways = [ids.length > 0, name !== undefined, all].filter((way) => way).length;
  if (ways !== 1) {
    throw new WaferError('usage', 'Say which dead letters: ids, --function NAME, or --all.', {
      hint: '"wafer dlq ls" lists them.',
    });
  }
  if (ids.length > 0) return { ids: [...ids] };
  return name === undefined ? {} : { function: name };
}
