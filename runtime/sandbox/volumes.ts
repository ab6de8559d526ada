/** The content of volumes, which only the engine walks. */
import { Buffer } from 'node:buffer';
import type { Readable } from 'node:stream';
import type { EngineClient } from './engine-client.ts';
import type { Pair } from './engine-frames.ts';
import type { Transfers } from './transfers.ts';
import type { VolumeEntry, VolumeHost, VolumeLayers } from './types.ts';

const TYPES: Record<string, VolumeEntry['type']> = { d: 'dir', f: 'file', l: 'link' };

const viewPair = (layers: VolumeLayers): Pair => ['volume', layers.join(',')];

export function createVolumeHost(engine: EngineClient, transfers: Transfers): VolumeHost {
  return {
    makeVolume: async (name) => void (await engine.request('make-volume', [['volume', name]])),
    async makeUpper(name, like) {
      await engine.request('make-volume', [
        ['volume', name],
        ['upper', 1],
        ['like', like],
      ]);
    },
    removeVolume: async (name) => void (await engine.request('remove', [['volume', name]])),
    async measureVolume(name) {
      const fields = await engine.request('measure', [['volume', name]]);
      return { bytes: fields.number('bytes') ?? 0, entries: fields.number('entries') ?? 0 };
    },
    async sealUpper(upper, to) {
      const fields = await engine.request('seal-volume', [
        ['volume', upper],
        ['to', to],
      ]);
      const entries = fields.number('entries') ?? 0;
      return entries === 0 ? null : { entries, bytes: fields.number('bytes') ?? 0 };
    },
    async copyVolume(layers, to, { links = false } = {}) {
      await engine.request('copy-volume', [viewPair(layers), ['to', to], ...(links ? ([['links', 1]] as Pair[]) : [])]);
    },
    async listVolume(layers, path) {
      const stream = await transfers.receiveStarted('list-volume', [viewPair(layers), ['path', path]]);
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      return parseEntries(Buffer.concat(chunks).toString());
    },
    readVolumePart: (layers, path, { offset, length }) =>
      transfers.receiveStarted('read-part', [viewPair(layers), ['path', path], ['offset', offset], ['length', length]]),
    readVolume: (layers, path) => transfers.receiveStarted('read-volume', [viewPair(layers), ['path', path]]),
    async writeVolume(layers, path, tar, { upper, maxBytes, maxEntries } = {}) {
      const pairs: Pair[] = [viewPair(layers), ['path', path]];
      if (upper !== undefined) pairs.push(['upper', upper]);
      if (maxBytes !== undefined) pairs.push(['max-bytes', maxBytes]);
      if (maxEntries !== undefined) pairs.push(['max-entries', maxEntries]);
      await transfers.send('write-volume', pairs, tar);
    },
  };
}

/** `type mode size mtime-ms name NUL`; names are a function's bytes. */
function parseEntries(text: string): VolumeEntry[] {
  return text
    .split('\0')
    .filter((record) => record !== '')
    .map((record) => {
      const [type = '', mode = '', size = '', modified = '', ...name] = record.split(' ');
      return {
        name: name.join(' '),
        type: TYPES[type] ?? 'other',
        mode: Number.parseInt(mode, 8),
        size: Number(size),
        modified: Number(modified),
      };
    });
}

/** Each request to the engine that is there then. */
export const followVolumes = (current: () => Promise<VolumeHost>): VolumeHost => ({
  makeVolume: async (name) => (await current()).makeVolume(name),
  makeUpper: async (name, like) => (await current()).makeUpper(name, like),
  removeVolume: async (name) => (await current()).removeVolume(name),
  measureVolume: async (name) => (await current()).measureVolume(name),
  sealUpper: async (upper, to) => (await current()).sealUpper(upper, to),
  copyVolume: async (layers, to, options) => (await current()).copyVolume(layers, to, options),
  listVolume: async (layers, path) => (await current()).listVolume(layers, path),
  readVolumePart: async (layers, path, part) => (await current()).readVolumePart(layers, path, part),
  readVolume: async (layers, path) => (await current()).readVolume(layers, path),
  writeVolume: async (layers, path, tar: Readable, options) =>
    (await current()).writeVolume(layers, path, tar, options),
});
