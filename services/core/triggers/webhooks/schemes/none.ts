/** Whoever knows the URL is believed. */
import { nameIn, names, textAt } from './parts.ts';
import type { Scheme } from './types.ts';

export const none: Scheme = ({ headers, json, settings: { idHeader, typeHeader } }) => ({
  ok: true,
  ...names(nameIn(headers, idHeader), nameIn(headers, typeHeader) ?? textAt(json(), 'type')),
});
