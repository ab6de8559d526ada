import { createClient } from '../client.ts';
import type { ImageSummary } from '../client-types.ts';
import { command, jsonFlag } from '../command.ts';
import { count, formatAgo, formatBytes, shortDigest } from '../format.ts';
import type { Ui } from '../ui.ts';

const total = (layers: ImageSummary['layers']): number => layers.reduce((sum, layer) => sum + layer.bytes, 0);

function showTable(ui: Ui, images: readonly ImageSummary[]): void {
  const now = Date.now();
  ui.table(
    [
      { header: 'IMAGE', style: 'bold' },
      { header: 'DIGEST' },
      { header: 'LAYERS', align: 'right' },
      { header: 'SIZE', align: 'right' },
      { header: 'SHARED', align: 'right', style: 'green' },
      { header: 'OWN', align: 'right' },
      { header: 'BUILT', align: 'right' },
    ],
    images.map(({ tags, digest, layers }) => {
      const newest = Math.max(0, ...layers.map((layer) => layer.createdAt));
      const shared = total(layers.filter(({ sharedBy }) => sharedBy > 1));
      const all = total(layers);
      const sizes = [all, shared, all - shared].map(formatBytes);
      return [
        tags.join(', ') || '(none)',
        shortDigest(digest),
        String(layers.length),
        ...sizes,
        formatAgo(newest, now),
      ];
    }),
  );
  const once = new Map(images.flatMap(({ layers }) => layers.map((layer) => [layer.diffId, layer.bytes] as const)));
  const stored = [...once.values()].reduce((sum, bytes) => sum + bytes, 0);
  const unshared = images.reduce((sum, { layers }) => sum + total(layers), 0);
  ui.out();
  ui.out(
    `${count(images.length, 'image')} of ${formatBytes(unshared)} take ${formatBytes(stored)}, because each of the ${count(once.size, 'layer')} is stored once.`,
  );
}

function showLayers(ui: Ui, images: readonly ImageSummary[]): void {
  for (const { tags, digest, layers } of images) {
    ui.out(`${ui.paint('bold', tags.join(', ') || '(none)')} ${ui.paint('dim', shortDigest(digest))}`);
    for (const { diffId, bytes, createdBy, sharedBy } of layers) {
      const mark = sharedBy > 1 ? ui.paint('green', `  in ${sharedBy} images`) : '';
      ui.out(`  ${shortDigest(diffId)}   ${formatBytes(bytes).padStart(8)}   ${createdBy}${mark}`);
    }
  }
}

export default command({
  name: 'images',
  about: 'Lists images: base images and the versions of functions, with what they share.',
  args: { layers: { type: 'boolean', description: 'Show every layer of every image' }, ...jsonFlag },
  examples: [
    ['wafer images', 'sizes: shared with other images, and own'],
    ['wafer images --layers', 'the layers, the lowest first'],
  ],
  run: async ({ layers, json }, { ui, env }) => {
    const images = await createClient(env).images();
    if (json) return ui.json(images);
    if (images.length === 0) return ui.out('The image store is empty. "npm start" prepares the base images.');
    if (layers) showLayers(ui, images);
    else showTable(ui, images);
  },
});
