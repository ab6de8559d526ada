import { command, jsonFlag } from '../../command.ts';
import { count, formatBytes, shortDigest } from '../../format.ts';
import { createImageClient } from '../../image-client.ts';

export default command({
  name: 'image df',
  about: 'Shows what images take on disk: in layers that others have too, and in their own. Compressed sizes.',
  args: { ...jsonFlag },
  examples: [['wafer image df', 'a table']],
  run: async ({ json }, { ui, env }) => {
    const usage = await createImageClient(env).usage();
    if (json) return ui.json(usage);
    ui.table(
      [
        { header: 'IMAGE', style: 'bold' },
        { header: 'DIGEST' },
        { header: 'SIZE', align: 'right' },
        { header: 'SHARED', align: 'right', style: 'green' },
        { header: 'UNIQUE', align: 'right' },
      ],
      usage.each.map(({ digest, tags, bytes, sharedBytes, uniqueBytes }) => [
        tags.join(', ') || '(none)',
        shortDigest(digest),
        ...[bytes, sharedBytes, uniqueBytes].map(formatBytes),
      ]),
    );
    ui.out();
    ui.pairs([
      ['images', `${usage.images} with ${count(usage.layers, 'layer')}`],
      [
        'blobs',
        `${formatBytes(usage.blobsBytes)} on disk: ${formatBytes(usage.sharedBytes)} shared, ${formatBytes(usage.uniqueBytes)} unique`,
      ],
      [
        'build cache',
        `${count(usage.buildCache.entries, 'step')} with ${formatBytes(usage.buildCache.bytes)}; ${formatBytes(usage.buildCache.onlyBytes)} of it go with "wafer image prune --build-cache"`,
      ],
      ['unpacked', `about ${formatBytes(usage.unpackedBytes)}, each layer once`],
    ]);
  },
});
