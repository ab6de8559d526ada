import { constants } from 'node:os';
import { WaferError } from '../errors.ts';

const MAX_SIGNAL = 64;

/** `SIGTERM`, `term` or `15` -> 15. @throws WaferError `invalid_request` */
export function signalNumber(text: string): number {
  const number = /^[0-9]{1,2}$/.test(text) ? Number(text) : byName(text.toUpperCase());
  if (number !== undefined && number >= 1 && number <= MAX_SIGNAL) return number;
  throw new WaferError('invalid_request', `${JSON.stringify(text.slice(0, 40))} is not a signal.`, {
    hint: 'A signal is a name like SIGTERM or TERM, or a number from 1 to 64.',
  });
}

function byName(name: string): number | undefined {
  const whole = name.startsWith('SIG') ? name : `SIG${name}`;
  const realTime = /^SIGRTMIN(?:\+([0-9]{1,2}))?$/.exec(whole);
  if (realTime !== null) return 34 + Number(realTime[1] ?? 0);
  return Object.entries(constants.signals).find(([one]) => one === whole)?.[1];
}
