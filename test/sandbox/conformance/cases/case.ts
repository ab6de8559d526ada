/** A case names a behaviour, which each language has under the same name in test/fixtures/functions, one call, and what must come of it. */
export type RuntimeName = 'node' | 'python' | 'http';

export interface HttpCall {
  method: string;
  path: string;
  query?: string;
  headers?: [string, string][];
  body?: string;
}

export type Expected =
  | { kind: 'json'; value: unknown }
  | { kind: 'bytes'; contentType: string; bytes: Buffer }
  | { kind: 'length'; bytes: number }
  | {
      kind: 'http';
      status: number;
      body: unknown;
      headers?: Record<string, string>;
      cookies?: string[];
      absent?: string[];
    }
  /** `cut`: the failure comes after the head of an answer. */
  | { kind: 'error'; code: string; message: string[]; errorType?: string; stack?: string; cut?: boolean };

export interface ConformanceCase {
  name: string;
  runtimes: readonly RuntimeName[];
  behaviour: string;
  event?: unknown;
  /** Sent as they are, in place of `event`. */
  raw?: string;
  http?: HttpCall;
  env?: Record<string, string>;
  maxResultBytes?: number;
  maxLogLineBytes?: number;
  expected: Expected | Partial<Record<RuntimeName, Expected>>;
  /** Lines of the call, in order per stream. */
  logs?: { stdout?: string[]; stderr?: string[] };
}

export interface InitCase {
  name: string;
  runtimes: readonly RuntimeName[];
  handler?: Partial<Record<RuntimeName, string>>;
  command?: string[];
  code: 'handler_not_found' | 'function_init_failed';
  message: string[];
  errorType?: string;
}

export const ALL = ['node', 'python', 'http'] as const;
export const LANGUAGES = ['node', 'python'] as const;
export const json = (value: unknown): Expected => ({ kind: 'json', value });
