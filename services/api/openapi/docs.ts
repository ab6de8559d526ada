/** Small words for the documentation of routes. */
import { ERRORS, type ErrorCode } from '../../core/errors.ts';
import { PROBLEM_TYPE } from '../http/problem.ts';

export const ref = (name: string) => ({ $ref: `${name}#` });
export const list = (key: string, name: string, more: object = {}) => ({
  type: 'object',
  required: [key, ...Object.keys(more)],
  properties: { [key]: { type: 'array', items: ref(name) }, ...more },
});

export const json = (description: string, schema: object, example?: unknown) => ({
  description,
  content: {
    'application/json': { schema: example === undefined ? schema : { allOf: [schema], examples: [example] } },
  },
});

export const content = (description: string, types: Record<string, object>) => ({
  description,
  content: Object.fromEntries(Object.entries(types).map(([type, schema]) => [type, { schema }])),
});

/** One answer per status, with the codes it may have. */
export function problems(...codes: ErrorCode[]): Record<string, object> {
  const statuses = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const { status } = ERRORS[code];
    statuses.set(status, [...(statuses.get(status) ?? []), code]);
  }
  return Object.fromEntries([...statuses].map(([status, known]) => [String(status), problem(known)]));
}

function problem(codes: ErrorCode[]): object {
  const [first] = codes as [ErrorCode];
  const { status, title } = ERRORS[first];
  const example = { type: `https://wafer.dev/errors/${first}`, title, status, code: first, detail: `${title}.` };
  const description = codes.map((code) => `\`${code}\`: ${ERRORS[code].title.toLowerCase()}`).join('; ');
  return { description, content: { [PROBLEM_TYPE]: { schema: { allOf: [ref('Problem')], examples: [example] } } } };
}

/** What every route with a key may answer. */
export const COMMON = ['unauthorized', 'invalid_request', 'store_unavailable', 'shutting_down', 'internal'] as const;

/** What every call may answer. */
export const CALL_ERRORS = [
  'function_not_found',
  'version_not_found',
  'alias_not_found',
  'function_error',
  'function_timeout',
  'function_oom',
  'function_crashed',
  'function_killed',
  'function_init_failed',
  'handler_not_found',
  'result_not_serialisable',
  'result_too_large',
  'protocol_error',
  'volume_conflict',
  'volume_full',
  'overloaded',
  'namespace_limit',
  'sandbox_failed',
  'engine_failed',
] as const;
