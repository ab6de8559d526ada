/** Which settings a scheme has, and that they hold together. */
import { WaferError } from '../../../errors.ts';
import type { SchemeName, SchemeSettings } from './types.ts';

const TAKEN: Partial<Record<SchemeName, readonly (keyof SchemeSettings)[]>> = {
  hmac: ['header', 'algorithm', 'encoding', 'prefix', 'signed', 'timestampHeader', 'idHeader', 'typeHeader'],
  ed25519: ['header', 'encoding', 'prefix', 'signed', 'timestampHeader', 'idHeader', 'typeHeader'],
  bearer: ['header', 'prefix', 'idHeader', 'typeHeader'],
  none: ['idHeader', 'typeHeader'],
};
const HEADER_KEYS = ['header', 'timestampHeader', 'idHeader', 'typeHeader'] as const;
const HEADER_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/;

/** Header names come back in lower case. @throws WaferError `invalid_request` naming the setting */
export function checkSettings(scheme: SchemeName, given: SchemeSettings): SchemeSettings {
  const settings = { ...given };
  for (const key of HEADER_KEYS) {
    const name = settings[key]?.toLowerCase();
    if (name === undefined) continue;
    if (!HEADER_NAME.test(name)) throw wrong(key, `${JSON.stringify(name)} is no name of a header`);
    settings[key] = name;
  }
  const taken = TAKEN[scheme] ?? [];
  for (const key of Object.keys(settings) as (keyof SchemeSettings)[]) {
    if (!taken.includes(key)) throw wrong(key, `the scheme ${scheme} does not have it`);
  }
  if (settings.signed !== undefined) checkSigned(settings.signed, settings);
  return settings;
}

const times = (text: string, part: string) => text.split(part).length - 1;

/** A time stamp that is not signed could be made up by whoever has one signature. */
function checkSigned(signed: string, { timestampHeader, idHeader }: SchemeSettings): void {
  if (times(signed, '{body}') !== 1) throw wrong('signed', 'it must have {body} once');
  const known = signed.replaceAll(/\{(?:body|timestamp|id)\}/g, '');
  if (/[{}]/.test(known)) throw wrong('signed', 'it may have {body}, {timestamp} and {id}');
  if (times(signed, '{timestamp}') !== (timestampHeader === undefined ? 0 : 1))
    throw wrong('signed', 'it must have {timestamp} exactly when timestampHeader is set');
  if (times(signed, '{id}') > 1 || (signed.includes('{id}') && idHeader === undefined))
    throw wrong('signed', '{id} needs idHeader, and comes once');
  if (/\{id\}[A-Za-z0-9{]|[A-Za-z0-9}]\{id\}|\}\{(?!body\}$)/.test(signed))
    throw wrong('signed', 'a sign must stand between its parts, or they could be shifted');
}

const wrong = (key: string, why: string) =>
  new WaferError('invalid_request', `settings/${key}: ${why}.`, { details: { path: `body/settings/${key}` } });
