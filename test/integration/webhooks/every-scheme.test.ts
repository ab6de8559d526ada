/**
 * Each scheme over the real route: a replay, a tampered body, time stamps, a rotation. That their signatures
 * are those of the real senders is the business of the vectors in test/unit/webhooks.
 */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { makeSample, type Sample } from '../../../services/core/triggers/webhooks/samples.ts';
import { SCHEMES, type SchemeName } from '../../../services/core/triggers/webhooks/schemes/types.ts';
import type { NewWebhook } from '../../../services/core/triggers/webhooks/types.ts';
import { type HookServer, openHookServer } from './server.ts';

const MINUTE = 60_000;
const SECRETS = ['a-secret-of-sixteen-or-more', 'another-secret-of-its-sender'] as const;
const SETTINGS: Partial<Record<SchemeName, NewWebhook['settings']>> = {
  hmac: { timestampHeader: 'x-time', idHeader: 'x-id', signed: '{id}.{timestamp}.{body}', encoding: 'base64' },
  bearer: { idHeader: 'x-id' },
  none: { idHeader: 'x-id' },
};
const hasSecret = (scheme: SchemeName) => scheme !== 'none';
const signsBody = (scheme: SchemeName) => !['gitlab', 'bearer', 'none'].includes(scheme);
const hasTime = (scheme: SchemeName) => ['standard', 'stripe', 'slack', 'hmac', 'ed25519'].includes(scheme);

interface Sender {
  id: string;
  path: string;
  /** Signed with the secret that is newest now, as if it was `at`. */
  sample(at?: number): Promise<Sample>;
  post(sample: Sample): Promise<{ status: number; verdict: string }>;
  rotate(keepMs: number): Promise<void>;
}

async function openSender(server: HookServer, scheme: SchemeName): Promise<Sender> {
  const keys = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')] as const;
  let turn: 0 | 1 = 0;
  const secretNow = () => {
    if (scheme === 'ed25519') return keys[turn].publicKey.export({ format: 'pem', type: 'spki' }).toString();
    return scheme === 'standard' ? `whsec_${Buffer.from(SECRETS[turn]).toString('base64')}` : SECRETS[turn];
  };
  const settings = SETTINGS[scheme];
  const secret = hasSecret(scheme) ? { secret: secretNow() } : {};
  const { id, path } = await server.make({ scheme, ...secret, ...(settings && { settings }) });
  return {
    id,
    path,
    sample: async (at = Date.now()) =>
      scheme === 'ed25519'
        ? signEd25519(keys[turn].privateKey, at)
        : makeSample(await server.webhooks.find(id), undefined, at),
    async post({ headers, body }) {
      const answer = await server.post(id, headers, body);
      return { status: answer.status, verdict: answer.body.verdict ?? answer.body.details?.verdict };
    },
    async rotate(keepMs) {
      turn = 1;
      const { status, text } = await server.api('POST', `${path}/rotate`, { secret: secretNow(), keepMs });
      expect(status, text).toBe(200);
    },
  };
}

let serial = 0;
/** As Discord does it. */
function signEd25519(key: KeyObject, at: number): Sample {
  const body = JSON.stringify({ type: 'made', serial: serial++ });
  const seconds = String(Math.floor(at / 1000));
  const signature = sign(null, Buffer.from(seconds + body), key).toString('hex');
  return {
    body,
    headers: { 'content-type': 'application/json', 'x-signature-timestamp': seconds, 'x-signature-ed25519': signature },
  };
}

describe('a delivery', () => {
  it.each(SCHEMES)('of %s that comes again is told apart: one invocation', async (scheme) => {
    const server = await openHookServer();
    const { sample, post } = await openSender(server, scheme);
    const sent = await sample();
    expect(await post(sent)).toEqual({ status: 202, verdict: 'accepted' });
    for (let n = 0; n < 3; n++) expect(await post(sent)).toEqual({ status: 200, verdict: 'duplicate' });
    expect(await post(await sample())).toEqual({ status: 202, verdict: 'accepted' });
    await server.invoked(2);
    expect(await server.invocations()).toHaveLength(2);
  });

  it.each(SCHEMES.filter(signsBody))('of %s with a body that is another, by a byte, is refused', async (scheme) => {
    const { sample, post } = await openSender(await openHookServer(), scheme);
    const sent = await sample();
    for (const body of [`${sent.body} `, sent.body.slice(0, -1), ''])
      expect(await post({ ...sent, body })).toEqual({ status: 401, verdict: 'bad_signature' });
    expect(await post(sent)).toMatchObject({ status: 202 });
  });

  it.each(SCHEMES.filter(hasTime))(
    'of %s that was signed too long ago, or in the future, is refused',
    async (scheme) => {
      const { sample, post } = await openSender(await openHookServer(), scheme);
      expect(await post(await sample(Date.now() - 6 * MINUTE))).toEqual({ status: 401, verdict: 'stale' });
      expect(await post(await sample(Date.now() + 60 * MINUTE))).toEqual({ status: 401, verdict: 'future' });
      expect(await post(await sample(Date.now() - MINUTE))).toMatchObject({ status: 202 });
    },
  );

  it.each(SCHEMES.filter(hasSecret))(
    'of %s is taken with both secrets of a rotation, and afterwards with the new one',
    async (scheme) => {
      const { sample, post, rotate } = await openSender(await openHookServer(), scheme);
      const [old, oldest] = [await sample(), await sample()];
      await rotate(60 * MINUTE);
      expect(await post(old)).toEqual({ status: 202, verdict: 'accepted' });
      expect(await post(await sample())).toEqual({ status: 202, verdict: 'accepted' });
      await rotate(0);
      expect(await post(oldest)).toEqual({ status: 401, verdict: 'bad_signature' });
      expect(await post(await sample())).toEqual({ status: 202, verdict: 'accepted' });
    },
  );
});
