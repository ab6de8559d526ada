/** The API with a real store behind `/v2/`, and small words for its requests. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { ApiLimits } from '../../../services/api/limits.ts';
import {
  createFunctionImages,
  type FunctionImages,
} from '../../../services/core/images/distribution/function-images.ts';
import type { DistributionLimits } from '../../../services/core/images/distribution/limits.ts';
import { type Distribution, openDistribution } from '../../../services/core/images/distribution/service.ts';
import { openImageStore } from '../../../services/core/images/index.ts';
import { createImageNames } from '../../../services/core/images/reserved.ts';
import type { ImageStore } from '../../../services/core/images/types.ts';
import { type ApiServer, startApi } from '../../helpers/api-server.ts';
import { createFakePlatform, TEST_KEY } from '../../helpers/fake-platform.ts';
import { type MadeImage, makeImage, sha256 } from '../../helpers/oci-layout.ts';
import { createTarUnpacker } from '../../helpers/tar-unpacker.ts';

export interface Lab {
  dir: string;
  api: ApiServer;
  store: ImageStore;
  distribution: Distribution;
  /** Wall time of the registry, and the time that garbage collection goes by. */
  pass(ms: number): void;
  /** `127.0.0.1:port`. */
  host: string;
  /** `METHOD path`, with the key. */
  ask(line: string, init?: RequestInit): Promise<Answer>;
  push(repository: string, image: MadeImage, reference?: string): Promise<Answer>;
  /** Names of blobs, uploads and unpacked layers on disk. */
  files(): { blobs: string[]; uploads: string[]; layers: string[]; repositories: string[] };
  close(): Promise<void>;
}

export interface Answer {
  status: number;
  headers: Headers;
  body: Buffer;
  /** Code of the first error, as `BLOB_UNKNOWN`; undefined when the body is none. */
  code: string | undefined;
  json: unknown;
}

const quiet = { warn: () => {}, info: () => {} };

export interface LabOptions {
  dir?: string;
  limits?: Partial<DistributionLimits>;
  functions?: FunctionImages;
  api?: Partial<ApiLimits>;
}

export const newDir = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'wafer-v2-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
};

export async function startLab({ dir = newDir(), limits = {}, ...given }: LabOptions = {}): Promise<Lab> {
  let passed = 0;
  const now = () => Date.now() + passed;
  const clock = { now, monotonic: () => performance.now() + passed };
  const store = await openImageStore({ dir, unpacker: createTarUnpacker(join(dir, 'layers')), log: quiet, clock });
  const platform = createFakePlatform();
  const distribution = await openDistribution({
    store,
    names: createImageNames(() => ['node24', 'node24-tools']),
    functions: given.functions ?? createFunctionImages(platform),
    log: quiet,
    limits,
    now,
  });
  const api = await startApi({ ...platform, distribution, images: store, limits: given.api ?? {} });
  const ask: Lab['ask'] = async (line, init = {}) => {
    const [method = 'GET', path = ''] = line.split(' ');
    return answerOf(await api.fetch(path, { method, ...init }));
  };
  const close = async () => {
    distribution.close();
    await api.close();
  };
  onTestFinished(close);
  return {
    dir,
    api,
    store,
    distribution,
    ask,
    close,
    host: `127.0.0.1:${api.port}`,
    pass: (ms) => (passed += ms),
    push: (repository, image, reference = 'v1') => pushImage(ask, repository, image, reference),
    files: () => {
      const names = (name: string) => readdirSync(join(dir, name)).sort();
      return {
        blobs: names('blobs/sha256'),
        uploads: names('uploads'),
        layers: names('layers'),
        repositories: names('repositories'),
      };
    },
  };
}

async function answerOf(response: Response): Promise<Answer> {
  const body = Buffer.from(await response.arrayBuffer());
  const isJson = /json/.test(response.headers.get('content-type') ?? '') && body.length > 0;
  const json: unknown = isJson ? JSON.parse(body.toString()) : undefined;
  const code = (json as { errors?: { code: string }[] } | undefined)?.errors?.[0]?.code;
  return { status: response.status, headers: response.headers, body, code, json };
}

export async function pushBlob(ask: Lab['ask'], repository: string, bytes: Buffer): Promise<string> {
  const digest = sha256(bytes);
  const { status, body } = await ask(`POST /v2/${repository}/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    body: new Uint8Array(bytes),
  });
  if (status !== 201) throw new Error(`blob: ${status} ${body}`);
  return digest;
}

async function pushImage(ask: Lab['ask'], repository: string, image: MadeImage, reference: string): Promise<Answer> {
  for (const [digest, bytes] of image.blobs) if (digest !== image.digest) await pushBlob(ask, repository, bytes);
  return putManifest(ask, repository, reference, image.manifest);
}

export function putManifest(
  ask: Lab['ask'],
  repository: string,
  reference: string,
  manifest: Buffer | object,
  type?: string,
): Promise<Answer> {
  const bytes = Buffer.isBuffer(manifest) ? manifest : Buffer.from(JSON.stringify(manifest));
  const contentType = type ?? (JSON.parse(bytes.toString()) as { mediaType: string }).mediaType;
  return ask(`PUT /v2/${repository}/manifests/${reference}`, {
    body: new Uint8Array(bytes),
    headers: { 'content-type': contentType },
  });
}

export const describe1 = (image: MadeImage, more: object = {}) => ({
  mediaType: (JSON.parse(image.manifest.toString()) as { mediaType: string }).mediaType,
  digest: image.digest,
  size: image.manifest.length,
  ...more,
});

let made = 0;
/** A small image with content of its own. */
export const smallImage = (options: Parameters<typeof makeImage>[1] = {}): MadeImage => {
  made += 1;
  const text = `${process.pid} ${made} ${Math.random()}`;
  return makeImage(
    [{ 'etc/': null, 'etc/one.txt': `one ${text}` }, { 'etc/two.txt': `two ${text}`.repeat(500) }],
    options,
  );
};

export { TEST_KEY };
