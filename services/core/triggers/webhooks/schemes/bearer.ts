/** A secret in a header, `Authorization: Bearer SECRET` unless its settings say another. The body is not signed. */
import { anyFits, nameIn, names, textAt } from './parts.ts';
import { refuse, type Scheme } from './types.ts';

export const bearer: Scheme = ({ headers, json, secrets, settings }) => {
  const { header = 'authorization', idHeader, typeHeader } = settings;
  const { prefix = header === 'authorization' ? 'Bearer ' : '' } = settings;
  const given = headers[header];
  if (given === undefined || given === '') return refuse('no_signature');
  // The name of a scheme of authorization is the same in any case (RFC 9110, 11.1).
  const head = given.slice(0, prefix.length);
  const isHead = header === 'authorization' ? head.toLowerCase() === prefix.toLowerCase() : head === prefix;
  if (!anyFits([given.slice(prefix.length)], secrets) || !isHead) return refuse('bad_signature');
  return { ok: true, ...names(nameIn(headers, idHeader), nameIn(headers, typeHeader) ?? textAt(json(), 'type')) };
};
