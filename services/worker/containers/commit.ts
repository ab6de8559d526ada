/** The writable layer becomes the next layer of an image; the container's config becomes the image's. */
import type { ContainerRecord } from '../../core/containers/record.ts';
import type { CommitOptions, Containers } from '../../core/containers/types.ts';
import { ownedByPlatform } from '../../core/images/commands/tools.ts';
import { applyChanges } from '../../core/images/dockerfile/changes.ts';
import { setEnv } from '../../core/images/dockerfile/metadata.ts';
import { stateOfImage } from '../../core/images/dockerfile/stage-state.ts';
import { nameForTag } from '../../core/images/names.ts';
import { OWN_PREFIX } from '../../core/images/reserved.ts';
import type { Image, ImageConfig, LayerInfo } from '../../core/images/types.ts';
import type { Context } from './context.ts';
import { type Entry, upperOf } from './entry.ts';
import { asWaferError } from './exits.ts';

type RunConfig = ImageConfig['config'];

export function createCommit(context: Context): Containers['commit'] {
  const { shelf, images, names } = context;
  return (ref, options) =>
    shelf.alone(ref, async (entry) => {
      const tag = options.tag === undefined ? null : nameForTag(options.tag);
      if (tag !== null && !names.mayTake(tag)) throw ownedByPlatform(tag);
      const image = await images.get(entry.record.imageDigest);
      const config = configOf(entry.record, image, options.changes);
      const layer = await whileStill(entry, async () =>
        images.addLayer(await context.host.pack(upperOf(entry)), { createdBy: createdBy(entry.record) }),
      );
      const made = await putCommitted(context, { image, layer, config, options, record: entry.record });
      const name = tag ?? `${OWN_PREFIX.unnamed}${made.digest.slice(7, 19)}`;
      await images.tag(made.digest, name);
      return { digest: made.digest, tags: [name] };
    });
}

const createdBy = ({ argv }: ContainerRecord): string => argv.join(' ');

/** Nothing of it runs while its files are read. */
export async function whileStill<T>(entry: Entry, work: () => Promise<T>): Promise<T> {
  const sandbox = entry.record.status === 'running' ? entry.run?.sandbox : undefined;
  try {
    await sandbox?.freeze();
    return await work();
  } catch (error) {
    throw asWaferError(error, `The container ${entry.record.name} could not be read`);
  } finally {
    await sandbox?.thaw().catch(() => undefined); // it may have ended meanwhile
  }
}

/** Config of the image, what the container was told over it, and the changes over both. @throws WaferError `invalid_dockerfile` */
function configOf({ config }: ContainerRecord, image: Image, changes: readonly string[]): RunConfig {
  const own: RunConfig = {
    Env: setEnv(image.config.config.Env, Object.entries(config.env)),
    ...(config.entrypoint === undefined ? {} : { Entrypoint: config.entrypoint, Cmd: config.command ?? [] }),
    ...(config.command === undefined ? {} : { Cmd: config.command }),
    ...(config.workingDir === undefined ? {} : { WorkingDir: config.workingDir }),
    ...(config.user === undefined ? {} : { User: config.user }),
    ...(config.stopSignal === undefined ? {} : { StopSignal: config.stopSignal }),
    Labels: { ...image.config.config.Labels, ...config.labels },
  };
  return applyChanges({ ...structuredClone(image.config.config), ...own }, changes);
}

interface Committed {
  image: Image;
  layer: LayerInfo;
  config: RunConfig;
  options: CommitOptions;
  record: ContainerRecord;
}

function putCommitted({ images }: Context, { image, layer, config, options, record }: Committed): Promise<Image> {
  const base = stateOfImage(image);
  const created = new Date().toISOString();
  const { message, author = image.config.author } = options;
  return images.putImage({
    layers: [...base.layers.map(({ diffId }) => diffId), layer.diffId],
    config,
    history: [
      ...base.history,
      { created, created_by: createdBy(record), ...(message === undefined ? {} : { comment: message }) },
    ],
    created,
    ...(author === undefined ? {} : { author }),
  });
}
