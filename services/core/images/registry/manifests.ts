/** From a reference to the manifest of one image for this host, pinned by its digest. */
import { WaferError } from '../../errors.ts';
import { digestOf, isDigest, mismatch } from '../digest.ts';
import { hostArchitecture, isDescriptor, isRecord, parseJson, parseManifest } from '../documents.ts';
import { MAX_LAYERS } from '../images.ts';
import { type Descriptor, type Digest, MEDIA } from '../types.ts';
import { readSmall, TransientError } from './http.ts';
import { withRetries } from './retry.ts';
import type { RegistrySession } from './session.ts';

export interface FoundManifest {
  bytes: Buffer;
  digest: Digest;
  mediaType: string;
  config: Descriptor;
  layers: Descriptor[];
}

const INDEXES: readonly unknown[] = [MEDIA.index, MEDIA.dockerIndex];
const ACCEPT = [MEDIA.manifest, MEDIA.dockerManifest, MEDIA.index, MEDIA.dockerIndex].join(', ');
const MAX_CHILDREN = 1_000;

const refuse = (what: string, why: string) => new WaferError('invalid_image', `${what} is not acceptable: ${why}.`);

interface Document {
  bytes: Buffer;
  digest: Digest;
  value: Record<string, unknown>;
  mediaType: string;
}

interface Wanted {
  repository: string;
  /** Tag or digest. */
  name: string;
  signal: AbortSignal;
}

/** The bytes, whose type is said twice and must be the same, and whose digest is what was asked for. */
async function getDocument(session: RegistrySession, wanted: Wanted): Promise<Document> {
  const { repository, name, signal } = wanted;
  const what = `the manifest of ${repository}${isDigest(name) ? '@' : ':'}${name}`;
  const { limits } = session;
  return withRetries(`Reading ${what}`, limits, signal, async () => {
    const request = { method: 'GET', to: `${repository}/manifests/${name}`, headers: { accept: ACCEPT } } as const;
    const reply = await session.attempt({ ...request, expect: [200], what, signal });
    const bytes = await readSmall(reply, limits.documentBytes, 'The manifest');
    const length = Number(reply.header('content-length') ?? bytes.length);
    if (length !== bytes.length) throw new TransientError(`${what} broke off`);
    const digest = digestOf(bytes);
    if (isDigest(name) && name !== digest) throw mismatch(what, name, digest);
    const value = parseJson(bytes);
    if (!isRecord(value)) throw refuse(what, 'it is not JSON');
    if (value['schemaVersion'] !== 2) throw refuse(what, 'only manifests of schema version 2 are taken');
    if ('manifests' in value && 'layers' in value) throw refuse(what, 'it is an image and an index at once');
    const header = (reply.header('content-type') ?? '').split(';', 1)[0]?.trim() ?? '';
    const own = value['mediaType'];
    if (own !== undefined && own !== header) throw refuse(what, 'its media type is not the Content-Type it came with');
    return { bytes, digest, value, mediaType: header };
  });
}

const platformOf = (value: unknown) => (isRecord(value) && isRecord(value['platform']) ? value['platform'] : {});

/** The child for this host. Of several, the plainest: one that asks for no newer processor. */
function chooseChild({ value, digest }: Document, what: string): Descriptor {
  const children = value['manifests'];
  if (!Array.isArray(children) || children.length > MAX_CHILDREN) throw refuse(what, 'it is not a list of manifests');
  const fits = children.filter((one) => {
    const { os, architecture } = platformOf(one);
    return os === 'linux' && architecture === hostArchitecture();
  });
  const rank = (one: unknown) => String(platformOf(one)['variant'] ?? '');
  const [best] = fits.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  if (best === undefined) {
    const known = children.map(platformOf).map(({ os, architecture }) => `${String(os)}/${String(architecture)}`);
    const list = [...new Set(known)]
      .join(', ')
      .replace(/[^\x20-\x7e]/g, '?')
      .slice(0, 200);
    throw refuse(what, `it has nothing for linux/${hostArchitecture()}, only ${list === '' ? 'nothing at all' : list}`);
  }
  if (!isDescriptor(best)) throw refuse(what, `index ${digest} has an entry that is not a descriptor`);
  return best;
}

function imageOf({ bytes, digest, mediaType }: Document, what: string): FoundManifest {
  const manifest = parseManifest(bytes);
  if (manifest === null) throw refuse(what, 'it is neither the manifest of an image nor an index');
  if (mediaType !== manifest.mediaType) throw refuse(what, 'its media type is not the Content-Type it came with');
  if (manifest.layers.length > MAX_LAYERS) throw refuse(what, `it has more than ${MAX_LAYERS} layers`);
  return { bytes, digest, mediaType, config: manifest.config, layers: manifest.layers };
}

/** @throws WaferError `image_not_found | invalid_image | digest_mismatch | registry_denied | registry_failed` */
export async function findManifest(session: RegistrySession, wanted: Wanted): Promise<FoundManifest> {
  const what = `${session.registry}/${wanted.repository}`;
  let document = await getDocument(session, wanted);
  for (let depth = 0; INDEXES.includes(document.mediaType); depth++) {
    if (depth >= session.limits.indexDepth)
      throw refuse(what, `its index is nested deeper than ${session.limits.indexDepth}`);
    const child = chooseChild(document, what);
    document = await getDocument(session, { ...wanted, name: child.digest });
    if (document.bytes.length !== child.size)
      throw refuse(what, 'a manifest does not have the size that its index says');
  }
  return imageOf(document, what);
}
