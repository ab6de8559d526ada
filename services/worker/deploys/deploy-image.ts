/**
 * Functions that are images: one that is named, or that the folder's Dockerfile makes. The
 * version *is* that image, byte for byte, unless the deploy brings settings of its own: then
 * it is the same layers with the settings as labels, so that it is the same function elsewhere.
 */
import { WaferError } from '../../core/errors.ts';
import { configOfImage, refuseImage } from '../../core/functions/image-config.ts';
import type { ConfigFile, FunctionConfig } from '../../core/functions/schema.ts';
import type { SourceTree } from '../../core/functions/source/index.ts';
import type { BuildEvent, DeployRequest, FunctionVersion, VersionSource } from '../../core/functions/types.ts';
import { hostArchitecture } from '../../core/images/documents.ts';
import type { Image, ImageStore, LayerInfo } from '../../core/images/types.ts';
import type { BuildLeases } from '../builder/build-leases.ts';
import { readRequestConfig } from '../builder/config.ts';
import type { FoundImage } from '../builder/image-source.ts';
import type { DeployerDeps } from './deployer.ts';
import { publishImage, settingLabels } from './publish-version.ts';

export interface ImageDeploy {
  request: DeployRequest;
  deps: DeployerDeps;
  leases: BuildLeases;
  onEvent: (event: BuildEvent) => void;
}

/** `--image REFERENCE`. What was pulled for a deploy that fails goes again. */
export async function deployReference(reference: string, deploy: ImageDeploy): Promise<FunctionVersion> {
  const { deps, leases, request } = deploy;
  const file = readRequestConfig(request);
  if (file.dockerfile !== undefined)
    throw new WaferError('invalid_config', '/dockerfile: is for folders; this deploy names an image.', {
      details: { path: '/dockerfile' },
    });
  const startedAt = Date.now();
  const { image, pulledAs } = await obtain(reference, deploy);
  leases.hold(image.digest);
  try {
    const codeBytes = image.layers.reduce((sum, layer) => sum + layer.tarBytes, 0);
    const from: VersionSource = { kind: 'image', reference };
    return await publish(image, file, { from, codeBytes, startedAt, name: reference }, deploy);
  } catch (error) {
    if (pulledAs !== null) await deps.images.untag(pulledAs);
    if (pulledAs !== null) leaveNothing(image, startedAt, leases);
    throw error;
  }
}

/** The folder is the build context. Its cached steps stay when the deploy fails, as those of `wafer build` do. */
export async function deployDockerfile(
  path: string,
  file: ConfigFile,
  source: SourceTree,
  deploy: ImageDeploy,
): Promise<FunctionVersion> {
  const { deps, request, onEvent, leases } = deploy;
  const startedAt = Date.now();
  const build = { context: source, dockerfile: path, signal: request.signal };
  const version = await deps.builds.buildContext(build, onEvent, async (image) => {
    leases.hold(image.digest);
    leases.newlyMade(image.digest);
    deps.images.forget([image.digest]);
    const from: VersionSource = { kind: 'dockerfile', path };
    return publish(image, file, { from, codeBytes: source.totalBytes, startedAt, name: path }, deploy);
  });
  // The version has the build's layers, and documents of its own.
  leases.release();
  await deps.images.collectGarbage().catch((err: unknown) => deps.log.warn({ err }, 'garbage could not be collected'));
  return version;
}

async function obtain(reference: string, { deps, request, onEvent }: ImageDeploy): Promise<FoundImage> {
  const found = await deps.imageSource.find(reference);
  if (found !== null) return { image: found, pulledAs: null };
  const startedAt = performance.now();
  const step = 'pull image';
  onEvent({ type: 'step', step, state: 'start' });
  const pulled = await deps.imageSource.pull(reference, onEvent, request.signal);
  onEvent({ type: 'step', step, state: 'done', ms: performance.now() - startedAt });
  return pulled;
}

const isNewSince = (time: number) => (layer: LayerInfo) => layer.createdAt >= time;

function leaveNothing(image: Image, startedAt: number, leases: BuildLeases): void {
  leases.newlyMade(image.digest);
  for (const { diffId } of image.layers.filter(isNewSince(startedAt))) leases.newlyMade(diffId);
}

interface Made {
  from: VersionSource;
  codeBytes: number;
  startedAt: number;
  /** For messages. */
  name: string;
}

async function publish(image: Image, file: ConfigFile, made: Made, deploy: ImageDeploy): Promise<FunctionVersion> {
  const { request, deps, leases } = deploy;
  assertRunsHere(image, made.name);
  const { config: own } = image.config;
  const config = configOfImage(file, { name: made.name, config: own, layers: image.layers.length });
  const version = await withSettings(image, request.name, config, file, made.from, deps.images);
  leases.hold(version.digest);
  request.signal.throwIfAborted();
  const added = image.layers.filter(isNewSince(made.startedAt));
  const { from, codeBytes } = made;
  const addedBytes = added.reduce((sum, layer) => sum + layer.blob.size, 0);
  return publishImage(
    { functionName: request.name, image: version.digest, base: config.base, config, codeBytes, addedBytes, from },
    deps,
  );
}

/** Images that were loaded from an archive or built elsewhere may be for another machine. */
function assertRunsHere({ config, layers }: Image, name: string): void {
  const { architecture } = config;
  if (architecture !== hostArchitecture())
    throw refuseImage(name, `it is for ${String(architecture).slice(0, 40)}; this machine runs ${hostArchitecture()}`);
  if (layers.length === 0) throw refuseImage(name, 'it holds no files');
}

/** The image itself when it says everything that counts already. */
async function withSettings(
  image: Image,
  name: string,
  config: FunctionConfig,
  file: ConfigFile,
  from: VersionSource,
  images: ImageStore,
): Promise<Image> {
  const { name: _name, $schema: _schema, dockerfile: _dockerfile, ...settings } = file;
  if (from.kind === 'image' && Object.keys(settings).length === 0) return image;
  const { created, author, history, config: own } = image.config;
  const steps = history.filter((entry) => entry.empty_layer !== true);
  return images.putImage({
    layers: image.layers.map((layer) => layer.diffId),
    config: { ...own, Labels: { ...own.Labels, ...settingLabels(name, config) } },
    ...(steps.length === image.layers.length ? { history } : {}),
    ...(created === undefined ? {} : { created }),
    ...(author === undefined ? {} : { author }),
  });
}
