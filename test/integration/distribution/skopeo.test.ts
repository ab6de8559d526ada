/** Real clients against `/v2/`: skopeo in every direction, and docker-registry as the peer. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MEDIA } from '../../../services/core/images/types.ts';
import { type DockerRegistry, skopeo, startDockerRegistry } from '../../helpers/docker-registry.ts';
import { makeImage, writeLayout } from '../../helpers/oci-layout.ts';
import { describe1, type Lab, newDir, putManifest, smallImage, startLab, TEST_KEY } from './lab.ts';

const creds = `anybody:${TEST_KEY}`;
const IN = ['--dest-tls-verify=false', `--dest-creds=${creds}`];
const OUT = ['--src-tls-verify=false', `--src-creds=${creds}`];

const inspect = async (lab: Lab, name: string, ...flags: string[]) =>
  JSON.parse(
    await skopeo('inspect', '--tls-verify=false', `--creds=${creds}`, ...flags, `docker://${lab.host}/${name}`),
  );

describe('skopeo', () => {
  it('copies an image in, which is an image of the store, and out again byte by byte', async () => {
    const lab = await startLab();
    const image = smallImage();
    await skopeo('copy', ...IN, writeLayout(newDir(), image), `docker://${lab.host}/team/app:v1`);
    const stored = await lab.store.get('team/app:v1');
    expect(stored.digest).toBe(image.digest);
    const [name = ''] = lab.store.layerNames(stored);
    expect(readFileSync(join(lab.dir, 'layers', name, 'etc/one.txt'), 'utf8')).toMatch(/^one /);
    const out = newDir();
    await skopeo('copy', ...OUT, `docker://${lab.host}/team/app:v1`, `oci:${out}:back`);
    for (const [digest, bytes] of image.blobs) {
      expect(readFileSync(join(out, 'blobs/sha256', digest.slice(7))).equals(bytes)).toBe(true);
    }
    expect((await inspect(lab, 'team/app:v1')).Digest).toBe(image.digest);
  });
});
