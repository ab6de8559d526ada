/** What does not load. */
import { type InitCase, LANGUAGES } from './case.ts';

export const INIT_CASES: readonly InitCase[] = [
  {
    name: 'a missing file is handler_not_found and lists what is there',
    runtimes: LANGUAGES,
    handler: { node: 'nowhere.handler', python: 'nowhere.handler' },
    code: 'handler_not_found',
    message: ['nowhere', 'behaviours'],
  },
  {
    name: 'a missing export is handler_not_found and lists the exports',
    runtimes: LANGUAGES,
    handler: { node: 'behaviours.missing', python: 'behaviours.missing' },
    code: 'handler_not_found',
    message: ['"missing"', 'echo'],
  },
  {
    name: 'a handler that is no function is handler_not_found',
    runtimes: LANGUAGES,
    handler: { node: 'behaviours.notAFunction', python: 'behaviours.notAFunction' },
    code: 'handler_not_found',
    message: ['"notAFunction"', 'not a function'],
  },
  {
    name: 'a handler without an export name is handler_not_found',
    runtimes: LANGUAGES,
    handler: { node: 'behaviours', python: 'behaviours' },
    code: 'handler_not_found',
    message: ['file.'],
  },
  {
    name: 'a module that throws while it loads is function_init_failed with its error',
    runtimes: LANGUAGES,
    handler: { node: 'init-error.handler', python: 'init_error.handler' },
    code: 'function_init_failed',
    message: ['the table is missing'],
    errorType: 'TypeError',
  },
  {
    name: 'a dependency that is not there is function_init_failed and names it',
    runtimes: LANGUAGES,
    handler: { node: 'missing-import.handler', python: 'missing_import.handler' },
    code: 'function_init_failed',
    message: ['installed'],
  },
  {
    name: 'a handler file with the name of a standard module is refused',
    runtimes: ['python'],
    handler: { python: 'json.handler' },
    code: 'handler_not_found',
    message: ['json', 'name of a module of Python itself'],
  },
  {
    name: 'a command that does not exist is function_init_failed and names it',
    runtimes: ['http'],
    command: ['no-such-program'],
    code: 'function_init_failed',
    message: ['no-such-program', 'No such file'],
  },
  {
    name: 'an empty command is function_init_failed',
    runtimes: ['http'],
    command: [],
    code: 'function_init_failed',
    message: ['command is empty'],
  },
  {
    name: 'a command that ends before it listens is function_init_failed with its status',
    runtimes: ['http'],
    command: ['node', 'server.mjs', 'neverListens'],
    code: 'function_init_failed',
    message: ['status 9', 'listened on port'],
  },
];
