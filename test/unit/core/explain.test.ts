import { expect, test } from 'vitest';
import type { FunctionVersion } from '../../../services/core/functions/types.ts';
import { ADVICE_CODES, type AdviceCode } from '../../../services/core/invocations/advice.ts';
import { explain } from '../../../services/core/invocations/explain.ts';
import {
  type InvocationRecord,
  PHASES,
  type Receipt,
  type StartFacts,
} from '../../../services/core/invocations/types.ts';

type Config = FunctionVersion['config'];

const version = (config: Partial<Config> = {}, more: Partial<FunctionVersion> = {}) =>
  ({
    functionName: 'hello',
    number: 2,
    base: 'node24',
    config: { runtime: 'node', concurrency: 1, memoryMb: 128, minInstances: 0, ...config },
    ...more,
  }) as FunctionVersion;

const FACTS: StartFacts = { blank: 'fits', blanksKept: 2, memoryBudgetMb: 1000, memoryUsedMb: 300, layers: [] };
const facts = (more: Partial<StartFacts>): StartFacts => ({ ...FACTS, ...more });

let made = 0;
type Told = Partial<Omit<Receipt, 'phases'>> & { phases?: Partial<Receipt['phases']> };

/** A call with this receipt. */
function call(told: Told, more: Partial<InvocationRecord> = {}): InvocationRecord {
  const phases = { ...Object.fromEntries(PHASES.map((phase) => [phase, 0])), ...told.phases } as Receipt['phases'];
  return {
    id: `inv_${made++}`,
    functionName: 'hello',
    version: 2,
    trigger: 'invoke',
    startedAt: 1,
    durationMs: 1,
    outcome: { kind: 'ok' },
    receipt: { start: 'cold', instanceId: 'i', ...told, phases },
    bytesOut: 0,
    ...more,
  };
}
const warm = (phases: Told['phases']) => call({ start: 'warm', phases: { handler: 1, ...phases } });

interface Case {
  code: AdviceCode;
  version?: FunctionVersion;
  starts?: InvocationRecord[];
  newest?: InvocationRecord[];
  facts?: StartFacts;
  /** In what it says. */
  says: string[];
}

const advise = ({ version: of = version(), starts = [], newest = [], facts: now = FACTS }: Partial<Case>) =>
  explain({ version: of, starts, newest, facts: now }).advice;

/** What each rule speaks up for. */
const CASES: Case[] = [
  {
    code: 'program_per_call',
    version: version({ runtime: 'image' }),
    starts: [call({ noBlank: 'own_program', cause: 'ended' })],
    says: ['1 start', 'EXPOSE'],
  },
  {
    code: 'no_reuse',
    version: version({ reuse: false }),
    starts: [call({ start: 'blank', cause: 'ended', phases: { attach: 12 } }), call({ start: 'blank', cause: 'busy' })],
    says: ['2 starts', '"reuse": false'],
  },
  {
    code: 'own_root',
    version: version({}, { base: '' }),
    starts: [call({ noBlank: 'own_root', phases: { sandbox: 5, boot: 35 } })],
    facts: facts({ blank: 'own_root' }),
    says: ['40 ms', '"minInstances": 1', '128 MB'],
  },
  {
    code: 'own_command',
    version: version({ runtime: 'http' }),
    starts: [call({ noBlank: 'own_program', phases: { init: 45 } })],
    facts: facts({ blank: 'own_program' }),
    says: ['45 ms', '"minInstances": 1'],
  },
  {
    code: 'other_base',
    starts: [call({ noBlank: 'other_base' })],
    facts: facts({ blank: 'other_base' }),
    says: ['node24', 'Deploy it again'],
  },
  {
    code: 'blanks_off',
    starts: [call({ noBlank: 'off' })],
    facts: facts({ blank: 'off', blanksKept: 0 }),
    says: ['WAFER_BLANKS=0', 'WAFER_BLANKS=2'],
  },
  {
    code: 'no_blank_ready',
    starts: [call({ noBlank: 'none_ready' }), call({ start: 'blank' })],
    says: ['1 of 2 starts', 'node24', 'WAFER_BLANKS (now 2)'],
  },
  {
    code: 'no_blank_memory',
    starts: [call({ noBlank: 'none_ready' })],
    facts: facts({ memoryUsedMb: 990 }),
    says: ['990 of 1000 MB', 'WAFER_MEMORY_MB'],
  },
  {
    code: 'slow_init',
    starts: [call({ start: 'blank', phases: { attach: 1, init: 60, handler: 2 } })],
    facts: facts({
      layers: [
        { createdBy: 'npm ci', bytes: 3 * 1024 * 1024 },
        { createdBy: 'code', bytes: 2000 },
      ],
    }),
    says: ['60 ms of the 63 ms', 'npm ci 3.0 MB, code 2 KB', 'Bundle'],
  },
  {
    code: 'slow_first_handler',
    starts: [call({ start: 'blank', phases: { init: 1, handler: 50 } })],
    newest: [warm({ handler: 2 })],
    says: ['50 ms', '2.0 ms', 'module loads'],
  },
  {
    code: 'evicted',
    starts: [call({ start: 'blank', cause: 'evicted' })],
    says: ['300 of 1000 MB', 'WAFER_MEMORY_MB', 'here 128'],
  },
  {
    code: 'busy',
    starts: [call({ start: 'blank', cause: 'busy' })],
    says: ['a call already', '"concurrency" (now 1)'],
  },
  { code: 'idle', starts: [call({ start: 'blank', cause: 'idle' })], says: ['without calls', '"minInstances": 1'] },
  { code: 'ended', starts: [call({ start: 'blank', cause: 'ended' })], says: ['failed', 'wafer logs hello'] },
  {
    code: 'waits_for_room',
    newest: [warm({ queue: 200, handler: 50 })],
    says: ['200 ms', '300 of 1000 MB'],
  },
];

test('there is a case for each advice', () => {
  expect(CASES.map(({ code }) => code).sort()).toEqual([...ADVICE_CODES].sort());
});

test.each(CASES)('$code is given alone, with the numbers that were seen', ({ code, says, ...seen }) => {
  const advice = advise(seen);
  expect(advice.map((one) => one.code)).toEqual([code]);
  const text = `${advice[0]?.seen} ${advice[0]?.help}`;
  for (const word of says) expect(text).toContain(word);
});

test.each<[string, Partial<Case>]>([
  ['nothing was called', {}],
  ['there are only warm calls', { newest: [warm({ handler: 500 })] }],
  [
    'a first call took a blank and was quick',
    { starts: [call({ start: 'blank', cause: 'first', phases: { init: 2 } })] },
  ],
  [
    'a version with a root of its own has no calls yet',
    { version: version({}, { base: '' }), facts: facts({ blank: 'own_root' }) },
  ],
  ['the reason for cold starts is gone', { starts: [call({ noBlank: 'off' })] }],
  [
    'its last instance ended idle, and one is kept since',
    { version: version({ minInstances: 1 }), starts: [call({ start: 'blank', cause: 'idle' })] },
  ],
  ['a program of an image ended after its call', { version: version({ runtime: 'image' }), newest: [warm({})] }],
  ['loading is most of a start that is quick', { starts: [call({ start: 'blank', phases: { init: 4 } })] }],
  ['loading is slow, but less than half of a start', { starts: [call({ phases: { boot: 40, init: 30 } })] }],
  [
    'the handler is as slow in later calls',
    { starts: [call({ start: 'blank', phases: { handler: 50 } })], newest: [warm({ handler: 48 })] },
  ],
  ['calls wait less than their handler takes', { newest: [warm({ queue: 20, handler: 50 })] }],
  [
    'an image was pushed, with layers of its own',
    {
      version: version({}, { from: { kind: 'image', reference: 'a' } }),
      starts: [call({ noBlank: 'other_base' })],
      facts: facts({ blank: 'other_base' }),
    },
  ],
])('nothing is advised when %s', (_when, seen) => expect(advise(seen)).toEqual([]));

test('what keeps an instance is not advised to who keeps one', () => {
  const kept = version({ minInstances: 2 });
  const starts = [call({ noBlank: 'none_ready', cause: 'evicted' })];
  const text = JSON.stringify(advise({ version: kept, starts }));
  expect(text).not.toContain('"minInstances\\": 1');
});

test('only code without npm packages is not told to bundle them', () => {
  const starts = [call({ start: 'blank', phases: { init: 60 } })];
  const [advice] = advise({ starts, facts: facts({ layers: [{ createdBy: 'code', bytes: 1 }] }) });
  expect(advice).toMatchObject({ code: 'slow_init', help: expect.not.stringContaining('undle') });
});

test('npm packages that were not compiled at their deploy are to be deployed again', () => {
  const starts = [call({ start: 'blank', phases: { init: 60 } })];
  const layers = [
    { createdBy: 'npm ci', bytes: 1 },
    { createdBy: 'code', bytes: 1 },
  ];
  const help = (more: StartFacts['layers'], of = version()) =>
    advise({ version: of, starts, facts: facts({ layers: [...layers, ...more] }) })[0]?.help;
  expect(help([])).toMatch(/^Deploy it again, so that its code is compiled/);
  expect(help([{ createdBy: 'compile', bytes: 1 }])).toMatch(/^Bundle the code/);
  expect(help([], version({}, { base: '' }))).toMatch(/^Bundle the code/);
});

test('calls are told apart by their start, and each is counted once', () => {
  const both = call({ start: 'blank', cause: 'first', phases: { attach: 1, init: 2, handler: 3 } });
  const { kinds, causes, noBlank } = explain({
    version: version(),
    starts: [both, call({ cause: 'busy', noBlank: 'none_ready', phases: { boot: 30 } })],
    newest: [both, warm({ handler: 1 }), warm({ handler: 2 }), warm({ handler: 4 })],
    facts: FACTS,
  });
  expect(Object.entries(kinds).map(([kind, { calls }]) => [kind, calls])).toEqual([
    ['cold', 1],
    ['blank', 1],
    ['warm', 3],
  ]);
  expect(kinds.blank).toMatchObject({ wall: { p50: 6, p99: 6 }, phases: { attach: { p50: 1 }, boot: { p50: 0 } } });
  expect(kinds.warm?.phases.handler).toEqual({ p50: 2, p99: 4 });
  expect([causes, noBlank]).toEqual([{ first: 1, busy: 1 }, { none_ready: 1 }]);
});

test('calls of other versions, and those that were given up or never began, are no times of this one', () => {
  const message = 'no';
  const { kinds } = explain({
    version: version(),
    starts: [call({}, { version: 1 }), call({}, { outcome: { kind: 'function_init_failed', message } })],
    newest: [call({}, { receipt: null }), call({ start: 'warm' }, { outcome: { kind: 'cancelled', message } })],
    facts: FACTS,
  });
  expect(kinds).toEqual({});
});
