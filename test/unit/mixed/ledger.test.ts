import { describe, expect, it } from 'vitest';
import { createLedger, type Witness } from '../../helpers/mixed/ledger.ts';
import { makePlan } from '../../helpers/mixed/plan.ts';

/** A ledger whose clock the test moves. */
function ledgerAt() {
  let time = 0;
  const ledger = createLedger(() => time);
  return {
    ledger,
    at(now: number) {
      time = now;
      return ledger;
    },
  };
}

const witness = (changed: Partial<Witness> = {}): Witness => ({
  mark: 'f-1',
  functionName: 'f',
  version: '1',
  nonce: 'n1',
  sandbox: 's1',
  loaded: ['f-1'],
  marks: ['f-1'],
  ...changed,
});

describe('what a call may answer', () => {
  it('is the old version or the new one while a deploy is under way, and only the new one once it was acknowledged', () => {
    const { ledger, at } = ledgerAt();
    const first = at(1).move('f', 'live', 'f-1');
    at(2);
    first.done();
    const second = at(10).move('f', 'live', 'f-2');
    at(20);
    second.done();
    expect([...ledger.allowed('f', 'live', 3, 9)]).toEqual(['f-1']);
    expect([...ledger.allowed('f', 'live', 5, 11)]).toEqual(['f-1', 'f-2']);
    expect([...ledger.allowed('f', 'live', 15, 30)]).toEqual(['f-1', 'f-2']);
    expect([...ledger.allowed('f', 'live', 21, 30)]).toEqual(['f-2']);
    expect([...ledger.allowed('f', 'stable', 21, 30)]).toEqual([]);
  });
});

describe('the ledger', () => {
  it('has nothing against instances of their own', () => {
    const { ledger } = ledgerAt();
    ledger.answered(witness());
    ledger.answered(witness());
    ledger.answered(witness({ nonce: 'n2', sandbox: 's2' }));
    expect(ledger.faults()).toEqual([]);
    expect(ledger.instances()).toBe(2);
  });

  const other = { mark: 'g-1', functionName: 'g', loaded: ['g-1'], marks: ['g-1'] };
  it.each([
    ['an instance that answers for two versions', { ...other, sandbox: 's2' }, /^instance n1 was f-1, then g-1/],
    ['a sandbox that is used again', { ...other, nonce: 'n2' }, /^sandbox s1 was n1 f-1, then n2 g-1/],
    ['a version with two codes', { mark: 'f-2', nonce: 'n2', sandbox: 's2' }, /^version f v1 was f-1, then f-2/],
    ['a process that had loaded something else', { loaded: ['g-1', 'f-1'] }, /had loaded g-1,f-1/],
    ['a sandbox with files of something else', { marks: ['f-1', 'g-1'] }, /had run f-1,g-1/],
  ])('sees %s', (_what, changed, fault) => {
    const { ledger } = ledgerAt();
    ledger.answered(witness());
    ledger.answered(witness(changed));
    expect(ledger.faults().join('\n')).toMatch(fault);
  });
});

describe('a plan', () => {
  const options = { calls: 1000, versions: 5, moves: 60 };

  it('is the same for the same seed, and another for another', () => {
    expect(makePlan({ seed: 1, ...options })).toEqual(makePlan({ seed: 1, ...options }));
    expect(makePlan({ seed: 1, ...options })).not.toEqual(makePlan({ seed: 2, ...options }));
  });

  it('deploys every further version and moves aliases in between', () => {
    const { changes, calls } = makePlan({ seed: 1, ...options });
    const kinds = [...changes.values()].map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'deploy')).toHaveLength(40);
    expect(kinds).toHaveLength(100);
    expect(Math.max(...changes.keys())).toBeLessThan(calls.length);
  });
});
