/** Secrets of the platform's own records (webhooks, callbacks) at rest: text in, text out, with the key of all secrets. */
import { type SecretsKey, seal, unseal } from './cipher.ts';

export interface TextBox {
  /** `place` says where the text belongs: at another one it does not open. */
  seal(place: string, text: string): string;
  /** @throws WaferError `secrets_locked` */
  open(place: string, sealed: string): string;
}

export function createTextBox(key: SecretsKey, namespace: string): TextBox {
  // No secret of functions has a slash in its name.
  const at = (place: string) => ({ namespace, name: `platform/${place}`, version: 1 });
  return {
    seal: (place, text) => seal(key, at(place), Buffer.from(text)),
    open: (place, sealed) => unseal(key, at(place), sealed).toString('utf8'),
  };
}
