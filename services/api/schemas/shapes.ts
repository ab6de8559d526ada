/** The small shapes that schemas are made of. */
import { type TSchema, Type } from 'typebox';

export const strict = { additionalProperties: false };

/** A body that may be left out. */
export const optionalBody = <T extends Record<string, TSchema>>(properties: T) =>
  Type.Union([Type.Object(properties, strict), Type.Null()]);

export const literals = <const T extends string>(values: readonly T[], options: object = {}) =>
  Type.Unsafe<T>({ type: 'string', enum: [...values], ...options });

export const time = (description: string) => Type.Integer({ description: `${description}, epoch ms` });

/** Query parameters are text, so numbers are patterns: nothing is coerced, nothing is guessed. */
export const whole = (digits: number, description: string) =>
  Type.String({ pattern: `^[1-9][0-9]{0,${digits - 1}}$`, description });

export const flag = (description: string) => literals(['true', 'false'], { default: 'false', description });

export const sized = (description: string) => Type.Integer({ description });

export const nullable = (type: string, description: string) => Type.Unsafe({ type: [type, 'null'], description });

export const Strings = Type.Record(Type.String(), Type.String());

export const imageName = (description: string) => Type.String({ minLength: 1, maxLength: 1024, description });
