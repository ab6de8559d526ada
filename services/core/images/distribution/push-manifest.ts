/**
 * A manifest comes in. Everything that it lists must be in the repository already, with the size
 * that it says. An image of this host is unpacked now, so that it can be run; every other
 * document is kept as it is. What is refused leaves nothing but blobs that wait for a better one.
 */
import { WaferError } from '../../errors.ts';
import { digestOf } from '../digest.ts';
import { checkImage } from '../import-check.ts';
import { createKeyedMutex } from '../mutex.ts';
import type { Descriptor, Digest, ImageStore } from '../types.ts';
import { DistributionError } from './errors.ts';
import type { FunctionImages } from './function-images.ts';
import type { DistributionLimits } from './limits.ts';
import { type ManifestDocument, readManifestDocument } from './manifest-document.ts';
import { checkReference, LATEST, storeNames } from './names.ts';
import type { Place, Views } from './views.ts';

export interface PushedManifest {
  bytes: Buffer;
  contentType: string;
  signal: AbortSignal;
}

export interface ManifestPush {
  digest: Digest;
  /** What to ask for to get it again. */
  reference: string;
  subject: Digest | null;
  /** Why it is kept but can not be run here; null when it can, or was never meant to. */
  warning: string | null;
}

export interface PushDeps {
  store: ImageStore;
  views: Views;
  functions: FunctionImages;
  limits: DistributionLimits;
}

const refuse = (message: string, options = {}) => new DistributionError('MANIFEST_INVALID', message, options);

const isAboutImage = (error: unknown): error is WaferError =>
  error instanceof WaferError && (error.code === 'invalid_image' || error.code === 'digest_mismatch');

/** Each is there, and is as large as the manifest says: nothing of it is believed. */
async function checkRefs({ store, views }: PushDeps, place: Place, document: ManifestDocument): Promise<void> {
  for (const ref of new Map(document.refs.map((one) => [one.digest, one])).values()) {
    const isHere = document.isIndex
      ? (await views.find(place, { digest: ref.digest })) !== null
      : await views.hasBlob(place, ref.digest);
    const size = isHere ? await store.content.sizeOf(ref.digest) : null;
    if (size === null) {
      const message = `${place.repository} does not have ${ref.digest}, which the manifest lists. Push it first.`;
      throw new DistributionError('MANIFEST_BLOB_UNKNOWN', message, { detail: { digest: ref.digest } });
    }
  }
  await checkSizes(store, document.refs);
}

async function checkSizes({ content }: ImageStore, refs: readonly Descriptor[]): Promise<void> {
  for (const { digest, size } of refs) {
    const real = await content.sizeOf(digest);
    if (real !== size) throw refuse(`The manifest says that ${digest} has ${size} bytes; it has ${real}.`);
  }
}

type Runnable = { config: Buffer } | { whyNot: string | null };

/** Whether this host can run it; an artifact is never asked. */
async function checkRunnable({ content }: ImageStore, document: ManifestDocument, bytes: Buffer): Promise<Runnable> {
  if (document.config === null || !document.hasImageConfig) return { whyNot: null };
  const config = await content.readDocument(document.config.digest);
  if (config === null) return { whyNot: 'Its config is too large to be one.' };
  try {
    checkImage(bytes, config);
    return { config };
  } catch (error) {
    if (isAboutImage(error)) return { whyNot: error.message };
    throw error;
  }
}

/** Unpacks the layers. @throws DistributionError `MANIFEST_INVALID` when one is not what the config says, or can not be unpacked */
async function makeImage(store: ImageStore, config: Buffer, { bytes, signal }: PushedManifest): Promise<void> {
  try {
    await store.importImage({
      manifest: bytes,
      config,
      tags: [],
      signal,
      fetch: async ({ digest }) => {
        throw new DistributionError('MANIFEST_BLOB_UNKNOWN', `${digest} went away while its manifest was pushed.`);
      },
    });
  } catch (error) {
    if (isAboutImage(error) && !(error instanceof DistributionError)) throw refuse(error.message, { cause: error });
    throw error;
  }
}

async function keepRecord(
  { store }: PushDeps,
  { repository }: Place,
  digest: Digest,
  document: ManifestDocument,
  isImage: boolean,
): Promise<void> {
  const refs = [...new Set(document.refs.map((ref) => ref.digest))];
  const { mediaType, isIndex, subject } = document;
  await store.content.change(repository, (record) => {
    record.manifests[digest] = { mediaType, refs, isIndex, isImage, subject };
    // Those stay because of the manifest now, and go with it.
    if (!isIndex) for (const ref of refs) delete record.blobs[ref];
  });
}

/**
 * The store's name and the repository's tag, so that a crash between the two leaves the old one:
 * a tag of the record holds only if the store's name says the same.
 */
async function moveTag({ store }: PushDeps, repository: string, tag: string, digest: Digest, image: Digest | null) {
  const { content } = store;
  if (image === digest) {
    if (content.record(repository)?.tags.has(tag) === true) {
      await content.change(repository, (record) => record.tags.delete(tag));
    }
  } else {
    await content.change(repository, (record) => record.tags.set(tag, { digest, image }));
  }
  const [name = '', ...shorter] = storeNames(repository, tag);
  if (image !== null) await store.tag(image, name);
  else await content.unname([name]);
  // The short name would go on to say the old image.
  await content.unname(shorter);
}

export function createManifestPush(deps: PushDeps) {
  const { store, views, limits } = deps;
  const inTurn = createKeyedMutex();

  const pushLocal = async (
    place: Place,
    tag: string | null,
    digest: Digest,
    document: ManifestDocument,
    pushed: PushedManifest,
  ) => {
    await checkRefs(deps, place, document);
    const runnable = await checkRunnable(store, document, pushed.bytes);
    const isImage = 'config' in runnable;
    if (isImage) await makeImage(store, runnable.config, pushed);
    else await store.content.putDocument(pushed.bytes, document.mediaType);
    await inTurn(place.repository, async () => {
      await keepRecord(deps, place, digest, document, isImage);
      if (tag !== null) await moveTag(deps, place.repository, tag, digest, await views.imageOf(place, digest));
    });
    return isImage ? null : runnable.whyNot;
  };

  return async (place: Place, referenceText: string, pushed: PushedManifest): Promise<ManifestPush> => {
    const reference = checkReference(referenceText);
    const digest = digestOf(pushed.bytes);
    if ('digest' in reference && reference.digest !== digest) {
      throw new DistributionError('DIGEST_INVALID', `The manifest has the digest ${digest}.`, {
        detail: { expected: reference.digest, found: digest },
      });
    }
    if (place.kind === 'base') {
      throw new DistributionError('DENIED', `${place.repository} is a base image; push under another name.`);
    }
    const document = readManifestDocument(pushed.bytes, pushed.contentType, limits);
    const tag = 'tag' in reference ? reference.tag : null;
    const lease = await store.content.hold([digest, ...document.refs.map((ref) => ref.digest)]);
    try {
      if (place.kind === 'function') return await pushFunction(deps, { ...place, tag, digest, document, pushed });
      const warning = await pushLocal(place, tag, digest, document, pushed);
      return { digest, reference: referenceText, subject: document.subject, warning };
    } finally {
      lease.release();
    }
  };
}

interface FunctionPush {
  kind: 'function';
  repository: string;
  name: string;
  tag: string | null;
  digest: Digest;
  document: ManifestDocument;
  pushed: PushedManifest;
}

const LIVE = 'live';
const isNumber = (tag: string) => /^\d+$/.test(tag);

/** Numbers are given, never chosen. @returns true when that version is this image already */
async function isThere({ functions }: PushDeps, push: FunctionPush, tag: string): Promise<boolean> {
  if (!isNumber(tag)) return false;
  const found = (await functions.tags(push.name))?.get(tag);
  if (found === push.digest) return true;
  const why = found === undefined ? 'the platform numbers the versions' : 'a version never changes';
  throw new DistributionError('DENIED', `${push.repository}:${tag} can not be pushed: ${why}. Push to :${LIVE}.`);
}

/** Deploys: the image becomes the next version, and what was pushed is that version's. */
async function pushFunction(deps: PushDeps, push: FunctionPush): Promise<ManifestPush> {
  const { store, functions } = deps;
  const { name, repository, tag, digest, document, pushed } = push;
  if (tag === null || document.isIndex || !document.hasImageConfig) {
    throw new DistributionError('UNSUPPORTED', `${repository} takes one image by a tag: every push deploys a version.`);
  }
  await checkRefs(deps, push, document);
  if (await isThere(deps, push, tag)) return { digest, reference: tag, subject: document.subject, warning: null };
  const runnable = await checkRunnable(store, document, pushed.bytes);
  if (!('config' in runnable)) throw refuse(`This can not be a function. ${runnable.whyNot ?? ''}`.trim());
  await makeImage(store, runnable.config, pushed);
  try {
    const version = await functions.deploy(name, digest, pushed.signal);
    if (tag !== LIVE && tag !== LATEST && !isNumber(tag)) await functions.setAlias(name, tag, version);
    return { digest, reference: String(version), subject: document.subject, warning: null };
  } catch (error) {
    throw deployFailure(error, name);
  } finally {
    // Whatever came of it, nothing waits any more: the version has its image, or there is none.
    store.forget([digest]);
    await store.content.change(repository, (record) => {
      for (const ref of document.refs) delete record.blobs[ref.digest];
    });
  }
}

const DEPLOY_REFUSALS = [
  'invalid_config',
  'invalid_name',
  'invalid_image',
  'invalid_archive',
  'invalid_request',
  'unknown_runtime',
  'missing_handler',
  'build_failed',
];

function deployFailure(error: unknown, name: string): unknown {
  if (!(error instanceof WaferError) || !DEPLOY_REFUSALS.includes(error.code)) return error;
  const hint = error.hint === undefined ? '' : ` ${error.hint}`;
  return refuse(`${name} was not deployed: ${error.message}${hint}`, { cause: error, detail: { code: error.code } });
}
