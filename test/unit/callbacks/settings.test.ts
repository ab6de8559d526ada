import { describe, expect, it } from 'vitest';
import { readConfig } from '../../../services/core/config.ts';

describe('settings of calls that run later', () => {
  it('have defaults', () => {
    expect(readConfig({})).toMatchObject({
      maxPending: 100_000,
      maxEventKb: 6_144,
      idempotencyMs: 86_400_000,
      keepRecordsMs: 86_400_000,
      keepRecords: 1_000,
      maxChain: 16,
      callbackHosts: [],
    });
  });

  it('take hosts, ports and networks for callbacks', () => {
    const { callbackHosts } = readConfig({ WAFER_CALLBACK_HOSTS: ' CI.example:8080, 10.1.0.0/16 ,::1,[::1]:80,' });
    expect(callbackHosts).toEqual(['ci.example:8080', '10.1.0.0/16', '::1', '[::1]:80']);
  });

  it.each(['http://x/', 'a b', '10.0.0.0/33', '10.0.0.0/', 'host:99999', 'fd00::/129', 'user@host', 'a/b', '*'])(
    'refuse %j as a host for callbacks',
    (text) => {
      expect(() => readConfig({ WAFER_CALLBACK_HOSTS: text })).toThrow(/WAFER_CALLBACK_HOSTS: .* is not a host/);
    },
  );
});
