import { expect, test } from 'vitest';
import { parseOwnCgroups } from '../../../services/cli/doctor/cgroups.ts';
import { isAtLeast } from '../../../services/cli/doctor/kernel.ts';
import { nearestExisting } from '../../../services/cli/doctor/sandbox-parts.ts';
import { parseRanges } from '../../../services/cli/doctor/user-namespaces.ts';

test('parseOwnCgroups() reads v1, named and v2 lines, colons in paths included', () => {
  const own = parseOwnCgroups('12:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/user.slice/x:y\n');
  expect(Object.fromEntries(own)).toEqual({ cpu: '/a', cpuacct: '/a', 'name=systemd': '/b', '': '/user.slice/x:y' });
});

test.each([
  ['6.18.44-fc', true],
  ['5.11.0', true],
  ['5.10.9', false],
  ['4.19', false],
])('isAtLeast() says of %s: %s', (version, expected) => expect(isAtLeast(version, [5, 11])).toBe(expected));

test('parseRanges() takes the lines of this user by name and by number, and leaves out broken ones', () => {
  const text = 'dev:100000:65536\nother:200000:65536\n1000:300000:10\ndev:x:y\n\n';
  expect(parseRanges(text, { name: 'dev', uid: 1000 })).toEqual([
    { first: 100_000, count: 65_536 },
    { first: 300_000, count: 10 },
  ]);
});

test('nearestExisting() goes up to a folder that is there', () => {
  expect(nearestExisting('/proc/self/none/at/all')).toBe('/proc/self');
});
