/** What every runtime must do, as data: the cases of `cases/`. */
import type { ConformanceCase } from './cases/case.ts';
import { FAILURES } from './cases/failures.ts';
import { HTTP } from './cases/http.ts';
import { LOGS } from './cases/logs.ts';
import { VALUES } from './cases/values.ts';

export type { ConformanceCase, Expected, HttpCall, InitCase, RuntimeName } from './cases/case.ts';
export { INIT_CASES } from './cases/init.ts';
export const CASES: readonly ConformanceCase[] = [...VALUES, ...FAILURES, ...LOGS, ...HTTP];
