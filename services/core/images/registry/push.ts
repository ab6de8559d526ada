import { WaferError } from '../../errors.ts';
import { type Manifest, parseManifest } from '../documents.ts';
import { eachLimited } from '../parallel.ts';
import { createReporter, type OnTransfer } from '../progress.ts';
import { formatReference, type Reference, tryParseReference } from '../reference.ts';
import type { Descriptor, Digest, Image, ImageStore } from '../types.ts';
import type { RegistryClient } from './client.ts';
import type { RegistrySession } from './session.ts';
import { uploadBlob } from './upload.ts';

export interface PushOptions {
  onEvent: OnTransfer;
  signal: AbortSignal;
}

/** Which repositories of the registry should have a blob, because an image that has it came from there, or went there. */
async function findNeighbours(store: ImageStore, { registry, repository }: Reference): Promise<Map<Digest, string>> {
  const found = new Map<Digest, string>();
  for (const { tags, layers } of await store.list()) {
    const places = tags.map(tryParseReference).filter((one) => one?.registry === registry);
    const other = places.find((one) => one !== null && one.repository !== repository);
    if (!other) continue;
    for (const { blob } of layers) found.set(blob.digest, other.repository);
  }
  return found;
}

interface Push {
  store: ImageStore;
  session: RegistrySession;
  repository: string;
  neighbours: Map<Digest, string>;
}

async function pushBlobs({ store, session, repository, neighbours }: Push, manifest: Manifest, options: PushOptions) {
  const report = createReporter(options.onEvent);
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const unique = new Map<Digest, Descriptor>();
  for (const blob of [...manifest.layers, manifest.config]) unique.set(blob.digest, blob);
  await eachLimited([...unique.values()], session.limits.parallel, async (blob) => {
    const isLayer = blob.digest !== manifest.config.digest;
    const upload = {
      repository,
      blob,
      mountFrom: neighbours.get(blob.digest) ?? null,
      open: () => store.readBlob(blob.digest),
      onBytes: (bytes: number) => isLayer && report(blob, 'sending', bytes),
      signal,
    };
    try {
      const end = await uploadBlob(session, upload);
      if (isLayer) report(blob, end);
    } catch (error) {
      stop.abort(error);
      throw error;
    }
  });
}

/** Blobs first, then the manifest byte by byte, so that the digest there is the digest here. */
export async function pushImage(
  store: ImageStore,
  client: RegistryClient,
  image: Image,
  reference: Reference,
  options: PushOptions,
): Promise<{ digest: Digest; name: string }> {
  const { registry, repository, tag, digest } = reference;
  if (digest !== null && digest !== image.digest) {
    throw new WaferError(
      'invalid_request',
      `The image has the digest ${image.digest}, not the one it should be pushed as.`,
    );
  }
  const neighbours = await findNeighbours(store, reference);
  const used = [...new Set(image.layers.map(({ blob }) => neighbours.get(blob.digest)))].filter(
    (one) => one !== undefined,
  );
  const scopes = [`repository:${repository}:pull,push`, ...used.map((one) => `repository:${one}:pull`)];
  const lease = store.lease([image.digest]);
  try {
    const body = await store.document(image.digest);
    const manifest = parseManifest(body);
    if (manifest === null) throw new WaferError('digest_mismatch', `${image.digest} is not the manifest of an image.`);
    await client.use(registry, scopes, async (session) => {
      await pushBlobs({ store, session, repository, neighbours }, manifest, options);
      const name = tag ?? image.digest;
      const headers = { 'content-type': manifest.mediaType };
      const what = `the manifest of ${repository}:${name}`;
      const { signal } = options;
      const request = { method: 'PUT', to: `${repository}/manifests/${name}`, headers, body, what, signal } as const;
      const reply = await session.request({ ...request, expect: [201] });
      reply.body.resume();
      const said = reply.header('docker-content-digest');
      if (said !== undefined && said !== image.digest) {
        throw new WaferError(
          'registry_failed',
          `${registry} stored ${what} under another digest: ${said.slice(0, 80)}.`,
        );
      }
    });
    return { digest: image.digest, name: formatReference(reference) };
  } finally {
    lease.release();
  }
}
