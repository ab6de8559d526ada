import { createReporter, type OnTransfer } from '../progress.ts';
import { formatReference, manifestOf, type Reference } from '../reference.ts';
import type { BlobSink, Image, ImageStore } from '../types.ts';
import type { RegistryClient } from './client.ts';
import { downloadBlob, readDocument } from './download.ts';
import { findManifest } from './manifests.ts';

export interface PullOptions {
  onEvent: OnTransfer;
  signal: AbortSignal;
}

export interface Pulled {
  image: Image;
  tag: string;
  /** False when it was there already: then only the tag is new. */
  isNew: boolean;
}

/** Tells how far a sink is. */
function reported(sink: BlobSink, onBytes: (bytes: number) => void): BlobSink {
  return {
    get size() {
      return sink.size;
    },
    async append(chunk) {
      await sink.append(chunk);
      onBytes(sink.size);
    },
    restart: () => sink.restart(),
  };
}

/**
 * The image for this host, with the digest it has there. After the first answer everything is
 * asked for by digest, so a tag that moves meanwhile changes nothing.
 */
export async function pullImage(
  store: ImageStore,
  client: RegistryClient,
  reference: Reference,
  { onEvent, signal }: PullOptions,
): Promise<Pulled> {
  const { registry, repository } = reference;
  const tag = formatReference(reference);
  const report = createReporter(onEvent);
  return client.use(registry, [`repository:${repository}:pull`], async (session) => {
    const manifest = await findManifest(session, { repository, name: manifestOf(reference), signal });
    const known = await store.find(manifest.digest).catch(() => null);
    if (known !== null) {
      await store.tag(manifest.digest, tag);
      for (const { blob } of known.layers) report(blob, 'exists');
      return { image: await store.get(tag), tag, isNew: false };
    }
    const config = await readDocument(session, { repository, blob: manifest.config, signal });
    const image = await store.importImage({
      manifest: manifest.bytes,
      config,
      tags: [tag],
      signal,
      onLayer: report,
      fetch: (blob, sink, until) =>
        downloadBlob(
          session,
          { repository, blob, signal: until },
          reported(sink, (bytes) => report(blob, 'fetching', bytes)),
        ),
    });
    return { image, tag, isNew: true };
  });
}
