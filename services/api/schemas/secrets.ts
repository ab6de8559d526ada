/** What goes in and out of secrets. No answer has a value. */
import { Type } from 'typebox';
import { SECRET_NAME, SECRET_REF_PATTERN } from '../../core/functions/secret-refs.ts';
import { flag, strict, time } from './shapes.ts';

export const SecretParams = Type.Object({
  name: Type.String({ pattern: `^${SECRET_NAME}$`, description: 'Name of the secret' }),
});

export const RemoveQuery = Type.Object(
  { force: Type.Optional(flag('Also while functions use it: their next instances fail to start')) },
  strict,
);

const SecretVersion = Type.Object({
  version: Type.Integer({ description: '1, 2, 3, ...; never reused' }),
  createdAt: time('When it was set'),
});

const shape = {
  name: Type.String(),
  createdAt: time('When the first version was set'),
  latest: Type.Integer({ description: 'What functions get that name no version' }),
  versions: Type.Array(SecretVersion, { description: 'Oldest first' }),
  usedBy: Type.Array(Type.String(), { description: 'Functions that name it in a version that an alias leads to' }),
};

export const Secret = Type.Object(shape, { description: 'A secret, without its value, which nobody is shown' });

export const SecretChange = Type.Object({
  ...shape,
  changed: Type.Boolean({ description: '`false`: the newest version had this value already' }),
  replaced: Type.Integer({
    description:
      'Instances of this platform that had an older version: idle ones have ended, busy ones end with their calls. Other workers follow within seconds',
  }),
});

/** `publicKey`: X25519, base64url; the answer is sealed for it. */
export const WorkerSecretsBody = Type.Object(
  {
    publicKey: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$', description: 'X25519; the answer is sealed for it' }),
    secrets: Type.Array(
      Type.Object(
        {
          name: Type.String({ pattern: `^${SECRET_NAME}$` }),
          version: Type.Optional(Type.Integer({ minimum: 1, description: 'Default: the newest' })),
        },
        strict,
      ),
      { minItems: 1, maxItems: 64, description: `As wafer.json names them (${SECRET_REF_PATTERN})` },
    ),
  },
  strict,
);

export const SealedSecrets = Type.Object({
  publicKey: Type.String({ description: 'X25519 of this answer, base64url' }),
  box: Type.String({ description: 'AES-256-GCM, base64url' }),
});

export const SECRET_COMPONENTS = { Secret, SecretChange, SealedSecrets };
