/** What is printed. */
import { type ConformanceCase, json, LANGUAGES } from './case.ts';

export const LOGS: ConformanceCase[] = [
  {
    name: 'printed lines come as logs of the call, also the last without an end',
    runtimes: LANGUAGES,
    behaviour: 'prints',
    event: { text: 'grüße' },
    expected: json('printed'),
    logs: { stdout: ['out grüße', 'first', 'second, without an end'], stderr: ['err grüße'] },
  },
  {
    name: 'a line over the limit is cut at a character and marked',
    runtimes: LANGUAGES,
    behaviour: 'printsLong',
    event: { size: 1000 },
    maxLogLineBytes: 101,
    expected: json(null),
    logs: { stdout: [`${'ä'.repeat(50)}…`] },
  },
];
