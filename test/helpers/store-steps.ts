/** Child of the crash tests: `store-steps.ts DIR`. Opens the store, deploys twice over one base, collects. */
import { join } from 'node:path';
import { openImageStore } from '../../services/core/images/index.ts';
import { makeTar, streamOf } from './make-tar.ts';
import { createTarUnpacker } from './tar-unpacker.ts';

const dir = String(process.argv[2]);
const done = (step: string) => process.stdout.write(`done=${step}\n`);
const silent = { warn: () => undefined, info: () => undefined };
let elapsed = 0;
const store = await openImageStore({
  dir,
  unpacker: createTarUnpacker(join(dir, 'layers')),
  log: silent,
  clock: { now: () => 1, monotonic: () => elapsed },
});
const layer = async (name: string) =>
  (await store.addLayer(streamOf(makeTar({ [name]: name.repeat(50_000) })), { createdBy: name })).diffId;

const base = await layer('base');
await store.putImage({ layers: [base], config: {}, tag: 'base' });
done('base');
await store.putImage({ layers: [base, await layer('one')], config: {}, tag: 'live' });
done('one');
await store.putImage({ layers: [base, await layer('two')], config: {}, tag: 'live' });
done('two');
elapsed = 60 * 60 * 1000;
await store.collectGarbage();
done('collected');
