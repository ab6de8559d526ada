/** The writable layer becomes the next layer of an image; the container's config becomes the image's. */
import type { ContainerRecord } from '../../core/containers/record.ts';
import type { CommitOptions, Containers } from '../../core/containers/types.ts';
import { WaferError } from '../../core/errors.ts';
import { applyMetadata, type MetadataState, setEnv } from '../../core/images/dockerfile/metadata.ts';
import { parseChanges } from '../../core/images/dockerfile/parse.ts';
import { UNNAMED_PREFIX } from '../../core/images/dockerfile/put-stage.ts';
import { stateOfImage } from '../../core/images/dockerfile/stage-state.ts';
import { nameForTag } from '../../core/images/names.ts';
import type { Image, ImageConfig, LayerInfo } from '../../core/images/types.ts';
import type { Context } from './context.ts';
import { type Entry, upperOf } from './entry.ts';
import { asWaferError } from './exits.ts';

type RunConfig = ImageConfig['config'];

export function createCommit(context: Context): Containers['commit'] {
  const { shelf, images, isReserved } = context;
  return (ref, options) =>
    shelf.alone(ref, async (entry) => {
      const tag = options.tag === undefined ? null : freeTag(options.tag, isReserved);
      const image = await images.get(entry.record.imageDigest);
      const state = changed(entry.record, image, options);
      const layer = await whileStill(entry, async () =>
        images.addLayer(await context.host.pack(upperOf(entry)), { createdBy: createdBy(entry.record) }),
      );
      const made = await putCommitted(context, { image, layer, state, options, record: entry.record });
      const name = tag ?? `${UNNAMED_PREFIX}${made.digest.slice(7, 19)}`;
      await images.tag(made.digest, name);
      return { digest: made.digest, tags: [name] };
    });
}

function freeTag(text: string, isReserved: Context['isReserved']): string {
  const name = nameForTag(text);
  if (!isReserved(name) && !isReserved(name.replace(/:latest$/, ''))) return name;
  throw new WaferError('conflict', `${JSON.stringify(name)} is a name that the platform gives.`);
}

const createdBy = ({ argv }: ContainerRecord): string => argv.join(' ');

/** Nothing of it runs while its files are read. */
async function whileStill<T>(entry: Entry, work: () => Promise<T>): Promise<T> {
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
function changed({ config, argv }: ContainerRecord, image: Image, { changes, author }: CommitOptions): MetadataState {
  const own: RunConfig = {
    Env: setEnv(image.config.config.Env, Object.entries(config.env)),
    ...(config.entrypoint === undefined ? {} : { Entrypoint: config.entrypoint, Cmd: config.command ?? [] }),
    ...(config.command === undefined ? {} : { Cmd: config.command }),
    ...(config.workingDir === undefined ? {} : { WorkingDir: config.workingDir }),
    ...(config.user === undefined ? {} : { User: config.user }),
    ...(config.stopSignal === undefined ? {} : { StopSignal: config.stopSignal }),
    Labels: { ...image.config.config.Labels, ...config.labels },
  };
  if (argv.length === 0) delete own.Cmd;
  let state: MetadataState = {
    config: { ...structuredClone(image.config.config), ...own },
    author: author ?? image.config.author,
    hasOwnCmd: true,
  };
  for (const instruction of parseChanges(changes, '--change')) {
    const env = new Map((state.config.Env ?? []).map((pair) => [pair.split('=', 1)[0], pair] as const));
    const scope = (name: string) => env.get(name)?.slice(name.length + 1);
    state = applyMetadata(state, { instruction, scope, mark: '\\' });
  }
  return state;
}

interface Committed {
  image: Image;
  layer: LayerInfo;
  state: MetadataState;
  options: CommitOptions;
  record: ContainerRecord;
}

function putCommitted({ images }: Context, { image, layer, state, options, record }: Committed): Promise<Image> {
  const base = stateOfImage(image);
  const created = new Date().toISOString();
  const { message } = options;
  return images.putImage({
    layers: [...base.layers.map(({ diffId }) => diffId), layer.diffId],
    config: state.config,
    history: [
      ...base.history,
      { created, created_by: createdBy(record), ...(message === undefined ? {} : { comment: message }) },
    ],
    created,
    ...(state.author === undefined ? {} : { author: state.author }),
  });
}
