/** What the tests of hostile registries share: a real store, and registries that say what a test wants. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { createImageService, type ImageService, openImageStore } from '../../../services/core/images/index.ts';
import type { TransferEvent } from '../../../services/core/images/progress.ts';
import { createRegistryClient } from '../../../services/core/images/registry/client.ts';
import type { RegistryLimits } from '../../../services/core/images/registry/limits.ts';
import { createImageNames } from '../../../services/core/images/reserved.ts';
import type { ImageStore } from '../../../services/core/images/types.ts';
import { type MadeImage, type MakeOptions, makeImage } from '../../helpers/oci-layout.ts';
import { bytesOf, type ScriptedRegistry, startScriptedRegistry } from '../../helpers/scripted-registry.ts';
import { createTarUnpacker } from '../../helpers/tar-unpacker.ts';

export let dir: string;
export let registry: ScriptedRegistry;
export let other: ScriptedRegistry;
export let store: ImageStore;
export let unpacked = 0;
export const signal = new AbortController().signal;
const PASSWORD = { username: 'ada', password: 'secret' };

/** A store, the registry that is pulled from, and another host; for all tests of a file. */
export function useLab(): void {
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'wafer-hostile-'));
    registry = await startScriptedRegistry();
    other = await startScriptedRegistry();
    const unpacker = createTarUnpacker(join(dir, 'layers'));
    const counted = {
      ...unpacker,
      unpack: (...args: Parameters<typeof unpacker.unpack>) => {
        unpacked += 1;
        return unpacker.unpack(...args);
      },
    };
    store = await openImageStore({ dir, unpacker: counted, log: { warn: () => undefined, info: () => undefined } });
  });
  afterAll(async () => {
    await Promise.all([registry.close(), other.close()]);
    rmSync(dir, { recursive: true, force: true });
  });
  beforeEach(() => {
    registry.reset();
    other.reset();
    unpacked = 0;
  });
}

const FAST = { backoffMs: 1, maxBackoffMs: 20 };
export interface Setup {
  limits?: Partial<RegistryLimits>;
  login?: boolean;
  named?: string[];
}
export function service({ limits = {}, login = false, named = [] }: Setup = {}): ImageService {
  const credentials = {
    get: async () => (login ? PASSWORD : null),
    set: async () => {},
    remove: async () => false,
    registries: async () => [],
  };
  const client = createRegistryClient({
    insecure: [registry.host, ...named],
    credentials,
    limits: { ...FAST, ...limits },
  });
  return createImageService({
    store,
    client,
    credentials,
    defaultRegistry: null,
    names: createImageNames(() => []),
    versions: async () => [],
    tmpDir: dir,
  });
}
export const pull = (name = 'a:v1', setup: Setup = {}, onEvent: (event: TransferEvent) => void = () => {}) =>
  service(setup).pull(`${registry.host}/${name}`, { onEvent, signal });
export const everything = () =>
  ['blobs/sha256', 'layers', 'meta', 'tmp'].flatMap((below) => readdirSync(join(dir, below))).sort();

export async function expectRefused(code: string, words: RegExp, run: () => Promise<unknown> = pull): Promise<void> {
  const before = everything();
  await expect(run()).rejects.toMatchObject({ code, message: expect.stringMatching(words) });
  expect(everything()).toEqual(before);
}

let numbers = 0;
export const unique = () => ({ [`file-${numbers++}`]: randomBytes(50_000) });
export const image = (options: MakeOptions = {}, layers = 1) =>
  makeImage(Array.from({ length: layers }, unique), options);
export const serve = (made: MadeImage) => registry.serve('a', 'v1', made);
export const serveManifest = (bytes: Buffer, type: string, name = 'v1') =>
  registry.on(new RegExp(`/v2/a/manifests/${name}$`), bytesOf(bytes, type));
