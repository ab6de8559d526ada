/** `egress` in wafer.json, the operator's ceiling, and the policy that the two make. */
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../../services/core/config.ts';
import { aboveCeiling, readEgressHost } from '../../../services/core/functions/egress.ts';
import { assertEgress } from '../../../services/core/functions/egress-ceiling.ts';
import { validateConfig } from '../../../services/core/functions/validate.ts';
import { createEgressMeter } from '../../../services/worker/egress/meter.ts';
import { functionPolicy } from '../../../services/worker/egress/policy.ts';

describe('an entry', () => {
  it.each([
    ['api.example.com:443', { kind: 'name', host: 'api.example.com', port: 443 }],
    ['API.Example.com.:443', { kind: 'name', host: 'api.example.com', port: 443 }],
    ['bücher.example:80', { kind: 'name', host: 'xn--bcher-kva.example', port: 80 }],
    ['*.example.com:*', { kind: 'suffix', host: '*.example.com', port: '*' }],
    ['192.0.2.1:5432', { kind: 'network', host: '192.0.2.1', port: 5432 }],
    ['10.0.0.0/8:*', { kind: 'network', host: '10.0.0.0/8', port: '*' }],
    ['[2606:2800::1]:443', { kind: 'network', host: '2606:2800::1', port: 443 }],
    ['[FD00::]/8:443', { kind: 'network', host: 'fd00::/8', port: 443 }],
    ['[fd00::/8]:443', { kind: 'network', host: 'fd00::/8', port: 443 }],
  ])('%s is read', (text, read) => {
    expect(readEgressHost(text)).toEqual(read);
  });

  it.each([
    ['api.example.com', 'needs a port'],
    ['api.example.com:0', 'no port from 1 to 65535'],
    ['api.example.com:65536', 'no port from 1 to 65535'],
    ['api.example.com:https', 'no port from 1 to 65535'],
    ['https://api.example.com:443', 'is a URL or a path'],
    ['api.example.com/path:443', 'is a URL or a path'],
    ['2606:2800::1:443', 'IPv6 address without brackets'],
    ['[fe80::1%eth0]:80', 'has a %'],
    ['*:443', 'write "public"'],
    ['a.*.example.com:443', 'a star for the first label'],
    ['**.example.com:443', 'a star for the first label'],
    ['10.0.0.0/33:80', 'the bits behind /'],
    ['127.1:80', 'number form'],
    ['0x7f000001:80', 'number form'],
    ['2130706433:80', 'number form'],
    ['①②⑦.0.0.1:80', 'number form'],
    ['-bad.example:80', 'no host name'],
    ['exa mple.com:80', 'no host name'],
    [':80', 'no host name'],
    ['me@api.example.com:443', 'has an account'],
    ['me:secret@api.example.com:443', 'has an account'],
    ['@api.example.com:443', 'has an account'],
    ['api.example.com@10.0.0.1:443', 'has an account'],
    ['me@10.0.0.1:443', 'has an account'],
    ['*.me@example.com:443', 'has an account'],
    ['me@[fd00::1]:443', 'has an account'],
    ['api.example.com?x=.evil.example:443', 'no host name'],
    ['api.example.com#.evil.example:443', 'no host name'],
    ['api.example.com\\.evil.example:443', 'no host name'],
    ['api.example.com\t:443', 'no host name'],
    ['api.\nexample.com:443', 'no host name'],
    ['', 'needs a port'],
  ])('%j is refused', (text, why) => {
    expect(readEgressHost(text)).toEqual({ problem: expect.stringContaining(why) });
  });
});

describe('wafer.json', () => {
  it.each(['none', 'public', [], ['api.example.com:443']])('takes %j', (egress) => {
    expect(validateConfig({ egress })).toEqual({ egress });
  });

  it('names the entry that is wrong', () => {
    expect(() => validateConfig({ egress: ['a.example:1', 'b.example'] })).toThrow(
      expect.objectContaining({ code: 'invalid_config', message: expect.stringContaining('/egress/1: needs a port') }),
    );
  });

  it.each(['internet', 1, {}, [1], null])('refuses %j', (egress) => {
    expect(() => validateConfig({ egress })).toThrow(
      expect.objectContaining({ message: expect.stringContaining('"none", "public", or a list') }),
    );
  });
});

describe('the ceiling', () => {
  it.each([
    ['public', ['public'], null],
    ['public', ['api.example.com:443'], -1],
    ['public', [], -1],
    [['api.example.com:443'], ['public'], null],
    [['api.example.com:443'], [], 0],
    [['api.example.com:443'], ['*.example.com:*'], null],
    [['*.example.com:443'], ['api.example.com:443'], null],
    [['a.b.example.com:443'], ['*.example.com:443'], 0],
    [['*.b.example.com:443'], ['*.example.com:443'], 0],
    [['example.com:443'], ['*.example.com:443'], 0],
    [['badexample.com:443'], ['*.example.com:443'], 0],
    [['api.example.com:443'], ['api.example.com:80'], 0],
    [['a.example:1', 'b.example:1'], ['a.example:1'], 1],
    [['10.1.2.3:5432'], ['public'], 0],
    [['10.1.2.3:5432'], ['public', '10.0.0.0/8:5432'], null],
    [['10.0.0.0/8:5432'], ['10.1.0.0/16:*'], null],
    [['[fd00::1]:80'], ['10.0.0.0/8:80'], 0],
    [['8.8.8.8:53'], ['public'], null],
    [['0.0.0.0/0:443'], ['public'], null],
    [['db.internal:5432'], ['10.0.0.0/8:5432'], 0],
  ] as const)('%j below %j: entry %j is above it', (setting, ceiling, index) => {
    expect(aboveCeiling(setting, ceiling)?.index ?? null).toBe(index);
  });

  it('is told to whoever deploys, with the setting of the operator', () => {
    expect(() => assertEgress({ egress: ['a.example:1', '10.0.0.1:22'] }, ['public'])).toThrow(
      expect.objectContaining({
        code: 'invalid_config',
        message: '/egress/1: is not among what the operator of this platform allows (WAFER_EGRESS).',
      }),
    );
    assertEgress({ egress: 'none' }, []);
    assertEgress({}, []);
  });

  it('is read from WAFER_EGRESS', () => {
    const read = (value?: string) => readConfig(value === undefined ? {} : { WAFER_EGRESS: value }).egress;
    expect(read()).toEqual(['public']);
    expect(read('none')).toEqual([]);
    expect(read('public, db.internal:5432')).toEqual(['public', 'db.internal:5432']);
    expect(() => read('db.internal')).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});

describe('the policy', () => {
  it('trusts a name that both lists have, and nothing behind a star', () => {
    expect(functionPolicy(['db.internal:1', '*.internal:1', '10.0.0.1:1'], ['public', 'db.internal:1'])).toEqual({
      mode: 'list',
      allow: [
        { host: 'db.internal', port: 1, trustResolved: true },
        { host: '*.internal', port: 1 },
        { host: '10.0.0.1', port: 1 },
      ],
      within: { mode: 'public', also: [{ host: 'db.internal', port: 1, trustResolved: true }] },
    });
    expect(functionPolicy('public', [])).toEqual({ mode: 'public', within: { mode: 'list', allow: [] } });
  });
});

describe('the meter', () => {
  it('lets so many connections be open, and counts those that have closed no more', () => {
    const meter = createEgressMeter({ connections: 2, bytesPerHour: null }, () => 0);
    expect([meter.open(), meter.open()]).toEqual([null, null]);
    expect(meter.open()).toContain('WAFER_EGRESS_CONNECTIONS');
    meter.close();
    expect(meter.open()).toBeNull();
    expect(meter.totals().open).toBe(2);
  });

  it('ends what goes on when the bytes of the hour are used up, and gives them back evenly', () => {
    let now = 0;
    const meter = createEgressMeter({ connections: 9, bytesPerHour: 3_600 }, () => now);
    expect(meter.open()).toBeNull();
    expect(meter.carry(3_599)).toBeNull();
    expect(meter.carry(1_001)).toContain('WAFER_EGRESS_MB_PER_HOUR');
    expect(meter.open()).toContain('WAFER_EGRESS_MB_PER_HOUR');
    now = 1_000_000; // 1,000 bytes back, which are owed
    expect(meter.open()).not.toBeNull();
    now = 1_002_000;
    expect(meter.open()).toBeNull();
    now = 100 * 3_600_000;
    expect(meter.carry(3_600)).not.toBeNull(); // never more than an hour's
  });
});
