/** Texts of images that are kept once: the images say what they said. */
import { expect, test } from 'vitest';
import { createShareTexts } from '../../../services/core/images/shared-texts.ts';
import type { Image } from '../../../services/core/images/types.ts';

const sha = (digit: string) => `sha256:${digit.repeat(64)}`;
const layer = (digit: string) => ({
  diffId: sha(digit),
  blob: { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: sha(digit), size: 7 },
  tarBytes: 10,
  createdBy: `step ${digit}`,
  createdAt: 1,
});
const image = (top: string, config: object = {}) =>
  ({
    digest: sha(top),
    layers: [layer('a'), layer(top)],
    config: {
      architecture: 'amd64',
      os: 'linux',
      config: { Env: ['PATH=/bin', `TOP=${top}`], Cmd: ['sh'] },
      rootfs: { type: 'layers', diff_ids: [sha('a'), sha(top)] },
      history: [{ created_by: 'step a' }, { comment: 'empty', empty_layer: true }, { created_by: `step ${top}` }],
      ...config,
    },
  }) as unknown as Omit<Image, 'tags'>;

test('an image says the same afterwards, whichever came before', () => {
  const share = createShareTexts();
  for (const top of ['b', 'c', 'b']) {
    const one = image(top);
    share(one);
    expect(one).toEqual(image(top));
  }
});

test('more texts than are kept change nothing', () => {
  const share = createShareTexts();
  for (let at = 0; at < 2_000; at++) {
    const one = image(String(at));
    share(one);
    expect(one).toEqual(image(String(at)));
  }
});

test.each([
  ['a history that is no list', { history: 'none' }],
  ['a history of nothing', { history: [null, 7, { created_by: 5 }] }],
  ['an environment of numbers', { config: { Env: [1, null] } }],
  ['an environment that is no list', { config: { Env: 'PATH=/bin' } }],
])('%s stays as its author wrote it', (_what, config) => {
  const one = image('b', config);
  createShareTexts()(one);
  expect(one).toEqual(image('b', config));
});
