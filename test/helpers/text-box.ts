/** What seals secrets of the platform's records, with a key that nobody else has. */
import { randomBytes } from 'node:crypto';
import { KEY_BYTES, secretsKeyOf } from '../../services/core/secrets/cipher.ts';
import { createTextBox, type TextBox } from '../../services/core/secrets/text-box.ts';
import { DEFAULT_NAMESPACE } from '../../services/core/store/keys.ts';

export const newTextBox = (): TextBox => createTextBox(secretsKeyOf(randomBytes(KEY_BYTES)), DEFAULT_NAMESPACE);
