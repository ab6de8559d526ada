/** The small rules of the registry client: challenges, addresses, hosts, retries. */
import { describe, expect, it } from 'vitest';
import { parseChallenge } from '../../../services/core/images/registry/challenge.ts';
import { createHosts } from '../../../services/core/images/registry/hosts.ts';
import { isPublicAddress } from '../../../services/core/public-address.ts';

describe('a challenge', () => {
  it('of Bearer gives realm and service, quoted or not, in any order', () => {
    const wanted = { scheme: 'bearer', realm: 'https://auth.example/token', service: 'registry.example' };
    expect(parseChallenge('Bearer realm="https://auth.example/token",service="registry.example",scope="x"')).toEqual(
      wanted,
    );
    expect(parseChallenge('bearer service=registry.example , realm="https://auth.example/token"')).toEqual(wanted);
    expect(parseChallenge('Bearer realm="https://auth.example/\\token"')).toMatchObject({
      realm: 'https://auth.example/token',
    });
  });

  it('of Basic is known, others are not', () => {
    expect(parseChallenge('Basic realm="x"')).toEqual({ scheme: 'basic' });
    for (const other of [
      undefined,
      '',
      'Bearer',
      'Bearer realm=""',
      'Bearer realm="not a url"',
      'Negotiate abc',
      'Digest a=b',
    ]) {
      expect(parseChallenge(other)).toBeNull();
    }
  });

  it('of any length is read in no time', () => {
    expect(parseChallenge(`Bearer ${'a=",'.repeat(1_000_000)}`)).toBeNull();
    expect(parseChallenge(`Bearer ${'a="\\'.repeat(1_000)}`)).toBeNull();
  });
});

describe('an address', () => {
  it.each(['93.184.216.34', '1.1.1.1', '2606:4700::1111'])('%s is public', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });
  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.31.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '64:ff9b::7f00:1',
    'fd00:ec2::254',
    'fe80::1',
    'ff02::1',
    '2002:7f00:1::',
    '2001:db8::1',
    'registry.example',
  ])('%s is not', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
});

describe('where a registry may send us', () => {
  const hosts = createHosts(['lan.example:5000', 'auth.lan.example']);
  const from = new URL('https://registry.example/v2/a/blobs/uploads/');
  const follow = (location: string) => hosts.follow(location, from, 'registry.example');

  it('a registry is spoken to over HTTPS unless it is named', () => {
    expect(hosts.origin('registry.example').href).toBe('https://registry.example/');
    expect(hosts.origin('127.0.0.1:5000').protocol).toBe('https:');
    expect(hosts.origin('lan.example:5000').href).toBe('http://lan.example:5000/');
  });

  it('relative and absolute places on its own origin get its credentials', () => {
    expect(follow('/v2/a/blobs/uploads/1?x=y')).toMatchObject({ isOrigin: true, onlyPublic: false });
    expect(follow('1')).toMatchObject({ isOrigin: true, url: { pathname: '/v2/a/blobs/uploads/1' } });
    expect(follow('https://registry.example:443/x')).toMatchObject({ isOrigin: true });
  });

  it('another host gets no credentials and must be public, or named', () => {
    expect(follow('https://storage.example/x')).toMatchObject({ isOrigin: false, onlyPublic: true });
    expect(follow('//storage.example/x')).toMatchObject({ isOrigin: false, onlyPublic: true });
    expect(follow('https://registry.example:8443/x')).toMatchObject({ isOrigin: false, onlyPublic: true });
    expect(follow('http://auth.lan.example/x')).toMatchObject({ isOrigin: false, onlyPublic: false });
  });

  it.each([
    'http://registry.example/x',
    'http://storage.example/x',
    'file:///etc/passwd',
    'ftp://storage.example/',
    'unix:/run/x.sock',
    'https://user:secret@storage.example/',
    'https://user@registry.example/',
    'javascript:1',
    'http://',
  ])('%s is refused', (location) => {
    expect(() => follow(location)).toThrow(expect.objectContaining({ code: 'registry_denied' }));
  });
});
