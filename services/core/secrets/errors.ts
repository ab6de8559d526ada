import { WaferError } from '../errors.ts';
import { didYouMean } from '../functions/nearest.ts';
import type { Secret } from './types.ts';

export const secretNotFound = (name: string, known: readonly string[] = []): WaferError =>
  new WaferError('secret_not_found', `There is no secret "${name.slice(0, 80)}".${didYouMean(name, known)}`, {
    details: { secret: name.slice(0, 80) },
    hint: `Set it: wafer secret set ${name.slice(0, 80)}`,
  });

export const versionNotFound = ({ name, versions }: Secret, version: number): WaferError =>
  new WaferError(
    'secret_not_found',
    `The secret "${name}" has no version ${version}; it has ${versions.map((one) => one.version).join(', ')}.`,
    { details: { secret: name, version } },
  );
