import { WaferError } from '../../core/errors.ts';

/** In a compose file; lines and columns from 1. */
export interface Place {
  file: string;
  line: number;
  column: number;
}

/** `compose.yaml:4:7: ...` */
export function refuse({ file, line, column }: Place, message: string, hint?: string): WaferError {
  return new WaferError('usage', `${file}:${line}:${column}: ${message}`, hint === undefined ? {} : { hint });
}
