import { expect, test } from 'vitest';
import { readConfig } from '../../../services/core/config.ts';

test('without settings there is no default registry, and none is spoken to over plain HTTP', () => {
  expect(readConfig({})).toMatchObject({ defaultRegistry: null, insecureRegistries: [] });
});

test('registries are named as host or host:port, lower case', () => {
  const env = {
    WAFER_DEFAULT_REGISTRY: 'Hub.example',
    WAFER_INSECURE_REGISTRIES: ' LAN.example:5000, 127.0.0.1:5001 ,[::1]:5002',
  };
  expect(readConfig(env)).toMatchObject({
    defaultRegistry: 'hub.example',
    insecureRegistries: ['lan.example:5000', '127.0.0.1:5001', '[::1]:5002'],
  });
});

test.each(['http://hub.example', 'hub.example/team', 'user@hub.example', 'a b', 'hub.example:x', '*'])(
  '%s is refused',
  (value) => {
    expect(() => readConfig({ WAFER_DEFAULT_REGISTRY: value })).toThrow(/WAFER_DEFAULT_REGISTRY/);
    expect(() => readConfig({ WAFER_INSECURE_REGISTRIES: `ok.example,${value}` })).toThrow(/WAFER_INSECURE_REGISTRIES/);
  },
);
