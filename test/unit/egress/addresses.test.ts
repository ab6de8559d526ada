import { describe, expect, test } from 'vitest';
import { contains, covers, notPublic, parseAddress, parseNetwork } from '../../../runtime/sandbox/egress/addresses.ts';

const bytes = (text: string) => {
  const address = parseAddress(text);
  if (address === null) throw new Error(`${text} is no address`);
  return address;
};
const net = (text: string) => {
  const network = parseNetwork(text);
  if (network === null) throw new Error(`${text} is no network`);
  return network;
};

describe('parseAddress', () => {
  test('reads IPv4 and every form of IPv6', () => {
    expect([...bytes('192.0.2.255')]).toEqual([192, 0, 2, 255]);
    expect([...bytes('::1')]).toEqual([...new Array(15).fill(0), 1]);
    expect([...bytes('2001:db8::a:0:ff')]).toEqual([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 255]);
    expect([...bytes('::ffff:127.0.0.1')]).toEqual([...new Array(10).fill(0), 255, 255, 127, 0, 0, 1]);
    expect([...bytes('1:2:3:4:5:6:7:8')]).toEqual([0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]);
    expect([...bytes('fe80::')]).toEqual([0xfe, 0x80, ...new Array(14).fill(0)]);
  });

  test.each([
    '',
    '127.1',
    '0x7f.0.0.1',
    '0177.0.0.1',
    '2130706433',
    '1.2.3.4.5',
    '1.2.3.256',
    '::1%lo',
    '1::2::3',
    'localhost',
  ])('refuses %j', (text) => {
    expect(parseAddress(text)).toBeNull();
  });
});

describe('networks', () => {
  test('contain addresses by prefix, at any bit', () => {
    expect(contains(net('10.0.0.0/8'), bytes('10.255.0.1'))).toBe(true);
    expect(contains(net('10.0.0.0/8'), bytes('11.0.0.1'))).toBe(false);
    expect(contains(net('198.18.0.0/15'), bytes('198.19.255.255'))).toBe(true);
    expect(contains(net('198.18.0.0/15'), bytes('198.20.0.0'))).toBe(false);
    expect(contains(net('0.0.0.0/0'), bytes('8.8.8.8'))).toBe(true);
    expect(contains(net('192.0.2.1'), bytes('192.0.2.1'))).toBe(true);
    expect(contains(net('192.0.2.1'), bytes('192.0.2.0'))).toBe(false);
    expect(contains(net('::/0'), bytes('8.8.8.8'))).toBe(false);
    expect(contains(net('fe80::/10'), bytes('febf::1'))).toBe(true);
    expect(contains(net('fe80::/10'), bytes('fec0::1'))).toBe(false);
  });

  test('cover smaller networks', () => {
    expect(covers(net('10.0.0.0/8'), net('10.1.0.0/16'))).toBe(true);
    expect(covers(net('10.0.0.0/8'), net('0.0.0.0/0'))).toBe(false);
  });

  test.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/8/8', '::/129', 'x/8', '10.0.0/8'])(
    '%j is none',
    (text) => {
      expect(parseNetwork(text)).toBeNull();
    },
  );
});

describe('notPublic', () => {
  test.each([
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['10.0.0.1', 'private'],
    ['100.64.0.1', 'carrier-grade NAT'],
    ['100.127.255.255', 'carrier-grade NAT'],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['169.254.169.254', 'metadata'],
    ['169.254.0.1', 'link-local'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.0.0.8', 'protocol assignments'],
    ['192.168.1.1', 'private'],
    ['198.18.0.1', 'benchmarking'],
    ['224.0.0.1', 'multicast'],
    ['240.0.0.1', 'reserved'],
    ['255.255.255.255', 'reserved'],
    ['::', 'unspecified'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'IPv4-mapped'],
    ['::ffff:8.8.8.8', 'IPv4-mapped'],
    ['::7f00:1', 'IPv4-compatible'],
    ['64:ff9b::7f00:1', 'NAT64'],
    ['2002:7f00:1::', '6to4'],
    ['2001:0:4136:e378::1', 'Teredo'],
    ['fc00::1', 'private'],
    ['fd00:ec2::254', 'private'],
    ['fe80::1', 'link-local'],
    ['fec0::1', 'site-local'],
    ['ff02::1', 'multicast'],
    ['4000::1', 'reserved'],
  ])('%s is %s', (text, name) => {
    expect(notPublic(bytes(text))?.name).toBe(name);
  });

  test.each([
    '8.8.8.8',
    '100.63.255.255',
    '100.128.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '198.17.255.255',
    '198.20.0.0',
    '223.255.255.255',
    '2606:4700::1111',
    '2a00::1',
  ])('%s is public', (text) => {
    expect(notPublic(bytes(text))).toBeNull();
  });
});
