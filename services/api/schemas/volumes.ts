/** What goes in and out of volumes. */
import { Type } from 'typebox';
import { VOLUME_PATTERN, VOLUME_REF_PATTERN } from '../../core/volumes/names.ts';
import { TX_POLICIES } from '../../core/volumes/types.ts';
import { literals, nullable, sized, strict, time } from './shapes.ts';

export const VolumeParams = Type.Object({
  name: Type.String({ pattern: VOLUME_PATTERN, description: 'Name of the volume' }),
});

export const VolumeRefParams = Type.Object({
  name: Type.String({ pattern: VOLUME_REF_PATTERN, description: 'Name of the volume, or `NAME@SNAPSHOT`' }),
});

export const SnapshotParams = Type.Object({
  name: Type.String({ pattern: VOLUME_PATTERN, description: 'Name of the volume' }),
  snapshot: Type.String({ pattern: VOLUME_PATTERN, description: 'Name of the snapshot' }),
});

export const PathQuery = Type.Object(
  {
    path: Type.Optional(
      Type.String({
        pattern: '^/',
        maxLength: 4_096,
        default: '/',
        description: 'Absolute, in the volume; links that lead out end at its root',
      }),
    ),
  },
  strict,
);

const limit = (description: string) =>
  Type.Optional(
    Type.Unsafe<number | null>({
      type: ['integer', 'null'],
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      default: null,
      description,
    }),
  );
const limits = {
  maxBytes: limit('Bytes that it may take on the disk; null: no limit'),
  maxEntries: limit('Files, directories and links that it may have; null: no limit'),
};

export const VolumeBody = Type.Object(
  {
    transactions: Type.Optional(
      literals(TX_POLICIES, {
        description:
          'Mounted with mode `tx`, and changed by transactions only: `exclusive` writers wait for one another, of `optimistic` ones that overlap the later ends as `volume_conflict`',
      }),
    ),
    ...limits,
  },
  strict,
);

export const LimitsBody = Type.Object(limits, { ...strict, minProperties: 1 });

const Snapshot = Type.Object({ name: Type.String(), createdAt: time('When it was made') });

export const Volume = Type.Object({
  name: Type.String(),
  transactions: Type.Unsafe({
    type: ['string', 'null'],
    enum: [...TX_POLICIES, null],
    description: 'Null: it is read and written as it is',
  }),
  revision: Type.Integer({ description: 'Grows with each commit, import and rollback' }),
  maxBytes: nullable('integer', 'Bytes that it may take on the disk'),
  maxEntries: nullable('integer', 'Files, directories and links that it may have'),
  createdAt: time('When it was made'),
  snapshots: Type.Array(Snapshot),
  functions: Type.Array(Type.String(), { description: 'Functions whose live version mounts it' }),
  mounts: Type.Integer({ description: 'Instances that have it now' }),
});

export const VolumeUsage = Type.Object({
  bytes: sized('Bytes on the disk'),
  entries: Type.Integer({ description: 'Files, directories and links' }),
});

const file = {
  name: Type.String(),
  type: literals(['file', 'dir', 'link', 'other']),
  mode: Type.Integer({ description: 'Permission bits' }),
  size: sized('Bytes'),
  modified: time('When its content was changed'),
};

export const VolumeListing = Type.Object({
  path: Type.String(),
  ...file,
  files: Type.Optional(Type.Array(Type.Object(file), { description: 'Of a directory' })),
});
