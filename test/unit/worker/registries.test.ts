import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EgressRule } from '../../../runtime/sandbox/index.ts';
import { createRegistries, insideUrl, parsePipConf } from '../../../services/worker/builder/registries.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'wafer-registries-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('insideUrl()', () => {
  it('drops credentials and opens exactly the host and port', () => {
    const rules: EgressRule[] = [];
    expect(insideUrl('https://user:secret@packages.example/npm/', rules)).toBe('https://packages.example/npm/');
    expect(rules).toEqual([{ host: 'packages.example', port: 443, trustResolved: true }]);
  });

  it.each(['http://localhost:4873/', 'http://127.0.0.1:4873/', 'http://[::1]:4873/'])(
    'reaches %s, the loopback of the host, by a name',
    (url) => {
      const rules: EgressRule[] = [];
      expect(insideUrl(url, rules)).toBe('http://host.wafer.internal:4873/');
      expect(rules[0]).toMatchObject({ host: 'host.wafer.internal', port: 4873 });
    },
  );
});

describe('parsePipConf()', () => {
  it('reads global and install sections with continuation lines', () => {
    const text =
      '[global]\nindex_url = https://a/simple\nextra-index-url =\n  https://b\n  https://c\n[other]\nindex-url = no\n';
    expect(parsePipConf(text)).toMatchObject({ 'index-url': 'https://a/simple' });
    expect(parsePipConf(text)['extra-index-url']?.trim().split(/\s+/)).toEqual(['https://b', 'https://c']);
  });
});

describe('createRegistries()', () => {
  it('gives npm the registries of the host and none of its credentials', async () => {
    const npmrc = join(dir, 'npmrc');
    writeFileSync(
      npmrc,
      [
        'registry=https://user:secret1@one.example/',
        '@acme:registry=https://two.example/npm',
        '//one.example/:_authToken=secret2',
        '//two.example/npm:_password=secret3',
      ].join('\n'),
    );
    const access = await createRegistries({ ...process.env, npm_config_userconfig: npmrc }).npm();
    const text = JSON.stringify(access, (_key, value) => (value?.type === 'Buffer' ? 'bytes' : value));
    expect(text).not.toMatch(/secret/);
    expect(access.files['/run/wafer/npmrc']).toContain('registry=https://one.example/');
    expect(access.files['/run/wafer/npmrc']).toContain('@acme:registry=https://two.example/npm');
    expect(access.egress).toMatchObject({
      mode: 'list',
      allow: expect.arrayContaining([expect.objectContaining({ host: 'two.example', port: 443 })]),
    });
  });

  it('gives pip the index of the host, trusted when it is plain HTTP', async () => {
    const env = { PIP_CONFIG_FILE: '/dev/null', PIP_INDEX_URL: 'http://me:secret@127.0.0.1:3141/simple' };
    const access = await createRegistries(env).pip();
    expect(access.env).toMatchObject({
      PIP_INDEX_URL: 'http://host.wafer.internal:3141/simple',
      PIP_TRUSTED_HOST: 'host.wafer.internal:3141',
    });
    expect(JSON.stringify(access.env)).not.toContain('secret');
    expect(access.egress.mode).toBe('list');
  });

  it('hands over the CA certificates of the host', async () => {
    writeFileSync(join(dir, 'ca.pem'), 'CERT');
    const access = await createRegistries({
      NODE_EXTRA_CA_CERTS: join(dir, 'ca.pem'),
      PIP_CONFIG_FILE: '/dev/null',
    }).pip();
    expect(access.files['/run/wafer/ca.crt']?.toString()).toMatch(/^CERT\n/);
    expect(access.env['PIP_CERT']).toBe('/run/wafer/ca.crt');
  });

  it('hands over the certificate files that the settings of npm and pip name, beside the others', async () => {
    for (const name of ['extra', 'npm', 'pip']) writeFileSync(join(dir, `${name}.pem`), `CERT ${name}`);
    writeFileSync(join(dir, 'npmrc'), `cafile=${join(dir, 'npm.pem')}\n`);
    writeFileSync(join(dir, 'pip.conf'), `[global]\ncert = ${join(dir, 'pip.pem')}\n`);
    const { npm_config_cafile: _, PIP_CERT: __, ...inherited } = process.env;
    const registries = createRegistries({
      ...inherited,
      NODE_EXTRA_CA_CERTS: join(dir, 'extra.pem'),
      npm_config_userconfig: join(dir, 'npmrc'),
      PIP_CONFIG_FILE: join(dir, 'pip.conf'),
    });
    const [npm, pip] = await Promise.all([registries.npm(), registries.pip()]);
    expect(npm.files['/run/wafer/ca.crt']?.toString()).toMatch(/CERT extra[\s\S]*CERT npm/);
    expect(pip.files['/run/wafer/ca.crt']?.toString()).toMatch(/CERT extra[\s\S]*CERT pip/);
  });

  it('lets the file that PIP_CONFIG_FILE names win over the ones of host and user', async () => {
    mkdirSync(join(dir, 'pip'));
    writeFileSync(join(dir, 'pip/pip.conf'), '[global]\nindex-url = https://user.example/simple\n');
    writeFileSync(join(dir, 'named.conf'), '[global]\nindex-url = https://named.example/simple\n');
    const env = { XDG_CONFIG_HOME: dir, PIP_CONFIG_FILE: join(dir, 'named.conf') };
    expect((await createRegistries(env).pip()).env['PIP_INDEX_URL']).toBe('https://named.example/simple');
    const off = await createRegistries({ XDG_CONFIG_HOME: dir, PIP_CONFIG_FILE: '/dev/null' }).pip();
    expect(off.env['PIP_INDEX_URL']).toBeUndefined();
  });
});
