/** A container's whole root as one tar. */
import type { Readable } from 'node:stream';
import type { Containers } from '../../core/containers/types.ts';
import type { Context } from './context.ts';

export function createExport(_context: Context): Containers['export'] {
  return async (): Promise<Readable> => {
    throw new Error('not yet');
  };
}
