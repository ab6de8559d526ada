/** Vectors of published documentation and of other libraries; then what somebody else would send. */
import { createHmac, generateKeyPairSync, sign as signBytes } from 'node:crypto';
import { sign as githubSign } from '@octokit/webhooks-methods';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { VERIFIERS } from '../../../services/core/triggers/webhooks/schemes/index.ts';
import type {
  Headers,
  SchemeName,
  SchemeSettings,
  Verified,
} from '../../../services/core/triggers/webhooks/schemes/types.ts';

interface Sent {
  scheme: SchemeName;
  secrets: string[];
  headers: Headers;
  body: string | Buffer;
  now: number;
  settings?: SchemeSettings;
}

function verify({ scheme, secrets, headers, body, now, settings = {} }: Sent): Verified {
  const bytes = Buffer.from(body);
  const json = () => {
    try {
      return JSON.parse(bytes.toString());
    } catch {
      return undefined;
    }
  };
  return VERIFIERS[scheme]({ headers, body: bytes, json, secrets, now, toleranceMs: 300_000, settings });
}

const TEST_2 = {
  // RFC 8032, section 7.1, TEST 2.
  key: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
  body: 'r',
  signature:
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
};
const SLACK_BODY =
  'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c';

/** As somebody else made them. */
const VECTORS: Record<string, Sent> = {
  // https://github.com/standard-webhooks/standard-webhooks
  standard: {
    scheme: 'standard',
    secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
    headers: {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    },
    body: '{"test": 2432232314}',
    now: 1614265330_000,
  },
  // The same with Svix' names: https://docs.svix.com/receiving/verifying-payloads/how-manual
  svix: {
    scheme: 'standard',
    secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
    headers: {
      'svix-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'svix-timestamp': '1614265330',
      'svix-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    },
    body: '{"test": 2432232314}',
    now: 1614265330_000,
  },
  // Made with @noble/ed25519 3.2.0, private key 32 x 0x07.
  'standard v1a': {
    scheme: 'standard',
    secrets: ['whpk_6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw='],
    headers: {
      'webhook-id': 'msg_1',
      'webhook-timestamp': '1700000000',
      'webhook-signature':
        'v1a,BMlXhzrRw0VBtHSaAZviX7RjSeWRmGeSXfsUW4xGUGeK9Ax53pFF7egZWxknwRWKBktX4TRu2xZYNDZqZIXfBg==',
    },
    body: '{"type":1}',
    now: 1700000000_000,
  },
  // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
  github: {
    scheme: 'github',
    secrets: ["It's a Secret to Everybody"],
    headers: { 'x-hub-signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17' },
    body: 'Hello, World!',
    now: 0,
  },
  // Made with stripe 23.1.0: webhooks.generateTestHeaderString.
  stripe: {
    scheme: 'stripe',
    secrets: ['whsec_test_secret'],
    headers: {
      'stripe-signature': 't=1700000000,v1=21d72f1d0e1180ae5d53faeb304cfb33cb93e02ef772ad87aa1d76992a5ce6a7',
    },
    body: '{"id":"evt_1PxWafer","object":"event","type":"invoice.paid","data":{"object":{"amount":1200}}}',
    now: 1700000000_000,
  },
  // https://docs.slack.dev/authentication/verifying-requests-from-slack
  slack: {
    scheme: 'slack',
    secrets: ['8f742231b10e8888abcd99yyyzzz85a5'],
    headers: {
      'x-slack-request-timestamp': '1531420618',
      'x-slack-signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
    },
    body: SLACK_BODY,
    now: 1531420618_000,
  },
  // SQLPage, tests of sqlpage.hmac.
  shopify: {
    scheme: 'shopify',
    secrets: ['test-webhook-secret'],
    headers: { 'x-shopify-hmac-sha256': 'QNyObTlKbMx2qDlPF/ZOZcBqg5OgPg+2oky3zldc0Gw=' },
    body: '{"id":1234567890,"email":"customer@example.com","total_price":"123.45"}',
    now: 0,
  },
  // There is nothing to compute: the header is the secret.
  gitlab: {
    scheme: 'gitlab',
    secrets: ['a-secret-token-of-gitlab'],
    headers: { 'x-gitlab-token': 'a-secret-token-of-gitlab' },
    body: '{"object_kind":"push"}',
    now: 0,
  },
  // RFC 4231, test case 2.
  hmac: {
    scheme: 'hmac',
    secrets: ['Jefe'],
    headers: {
      'x-mac':
        'hmac=164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737',
    },
    body: 'what do ya want for nothing?',
    now: 0,
    settings: { header: 'x-mac', algorithm: 'sha512', prefix: 'hmac=' },
  },
  ed25519: {
    scheme: 'ed25519',
    secrets: [TEST_2.key],
    headers: { 'x-sig': TEST_2.signature },
    body: TEST_2.body,
    now: 0,
    settings: { header: 'x-sig' },
  },
  // As Discord signs; made with @noble/ed25519 3.2.0, private key 32 x 0x07.
  'ed25519 with a time stamp': {
    scheme: 'ed25519',
    secrets: ['ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c'],
    headers: {
      'x-signature-timestamp': '1700000000',
      'x-signature-ed25519':
        'f7caed702889e902c2cde4a4fb00f601284aa47ff4caf84588d7c8c3d8fe7183fd73e13e30d0c07d1515b6684f7b3cfaa231c421768d9667b104f760cf0da302',
    },
    body: '{"type":1}',
    now: 1700000000_000,
  },
  // RFC 6750, section 2.1.
  bearer: {
    scheme: 'bearer',
    secrets: ['mF_9.B5f-4.1JqM'],
    headers: { authorization: 'Bearer mF_9.B5f-4.1JqM' },
    body: '{}',
    now: 0,
  },
};
const each = Object.entries(VECTORS);
const verdict = (sent: Sent) => {
  const verified = verify(sent);
  return verified.ok ? 'ok' : verified.verdict;
};
const signatureOf = ({ headers }: Sent) =>
  Object.keys(headers).find(
    (name) => /sig|hmac|token|mac|authorization/.test(name) && !name.endsWith('timestamp'),
  ) as string;
const withSignature = (sent: Sent, change: (signature: string) => string): Sent => {
  const name = signatureOf(sent);
  return { ...sent, headers: { ...sent.headers, [name]: change(sent.headers[name] ?? '') } };
};
const signsBody = ([name]: [string, Sent]) => name !== 'gitlab' && name !== 'bearer';
const hasTime = ([, { headers }]: [string, Sent]) => /t=\d|timestamp/.test(JSON.stringify(headers));

describe('a signature that somebody else made', () => {
  it.each(each)('%s is taken', (_name, sent) => {
    expect(verify(sent)).toMatchObject({ ok: true });
  });

  it.each(each)('%s is taken with a secret that is being replaced', (_name, sent) => {
    const other = sent.scheme === 'ed25519' ? `${'00'.repeat(31)}01` : 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
    expect(verify({ ...sent, secrets: [other, ...sent.secrets] })).toMatchObject({ ok: true });
    expect(verdict({ ...sent, secrets: [other] })).toBe('bad_signature');
    expect(verdict({ ...sent, secrets: [] })).toBe('bad_signature');
  });

  it.each(each.filter(signsBody))('%s does not fit another body, not even other white space', (_name, sent) => {
    for (const body of [`${sent.body} `, `\ufeff${sent.body}`, '', Buffer.from(String(sent.body), 'utf16le')])
      expect(verdict({ ...sent, body })).toBe('bad_signature');
  });

  it.each(each)('%s must be there, whole, and spelt as it is', (_name, sent) => {
    const { [signatureOf(sent)]: _signature, ...headers } = sent.headers;
    expect(verdict({ ...sent, headers })).toBe('no_signature');
    expect(verdict(withSignature(sent, () => ''))).toBe('no_signature');
    const changes: ((text: string) => string)[] = [
      (text) => text.slice(0, -1),
      (text) => `${text}0`,
      (text) => `${text.slice(0, -3)}${text.at(-3) === 'A' ? 'B' : 'A'}${text.slice(-2)}`,
      (text) => text.replace(/[a-z0-9+/=]+$/i, (end) => end.toUpperCase()),
      (text) => `${text}, ${text}`,
      () => 'sha256=',
      () => '\u{1f600}',
    ];
    for (const change of changes) {
      const changed = withSignature(sent, change);
      if (changed.headers[signatureOf(sent)] === sent.headers[signatureOf(sent)]) continue;
      // Of these two there may be several: the same one twice is still one that fits.
      if (['stripe', 'standard'].includes(sent.scheme) && change('x') === 'x, x') continue;
      expect([change.toString(), verify(changed).ok]).toEqual([change.toString(), false]);
    }
  });

  it.each(each.filter(hasTime))('%s is refused when it is stale, or from the future', (_name, sent) => {
    const at = (ms: number) => verdict({ ...sent, now: sent.now + ms });
    expect([at(299_000), at(-299_000)]).toEqual(['ok', 'ok']);
    expect([at(301_000), at(-601_000)]).toEqual(['stale', 'future']);
  });

  it.each(each.filter(hasTime))('%s is refused with a time stamp that is another, or none', (_name, sent) => {
    const time = String(sent.now / 1000);
    const withTime = (other: string) => {
      const text = JSON.stringify(sent.headers).replace(time, other);
      return verdict({ ...sent, headers: JSON.parse(text) as Headers });
    };
    expect(withTime(String(Number(time) + 1))).toBe('bad_signature');
    for (const other of ['', '1e9', '-1', '0', `${time}.5`, ` ${time}`, `0${time}`, '9'.repeat(20), 'NaN', 'now'])
      expect([other, ['bad_timestamp', 'bad_signature', 'stale'].includes(withTime(other))]).toEqual([other, true]);
  });
});

describe('Standard Webhooks', () => {
  const secret = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
  const now = 1_750_000_000_000;
  const sent = (id: string, body: string, signature?: string): Sent => ({
    scheme: 'standard',
    secrets: [secret],
    headers: {
      'webhook-id': id,
      'webhook-timestamp': String(now / 1000),
      'webhook-signature': signature ?? new Webhook(secret).sign(id, new Date(now), body),
    },
    body,
    now,
  });

  it('of the reference library are taken, and name delivery and type', () => {
    for (const body of ['{"type":"user.created","data":{}}', '{}', '"ü€😀"', ''])
      expect(verify(sent('msg_1', body))).toMatchObject({ ok: true, deliveryId: 'msg_1' });
    expect(verify(sent('msg_1', '{"type":"user.created"}'))).toEqual({
      ok: true,
      deliveryId: 'msg_1',
      eventType: 'user.created',
    });
  });

  it('with two signatures are taken when one fits, and refused with more than eight', () => {
    const good = new Webhook(secret).sign('msg_1', new Date(now), '{}');
    const other = `v1,${Buffer.alloc(32).toString('base64')}`;
    expect(verify(sent('msg_1', '{}', `${other} ${good}`)).ok).toBe(true);
    expect(verdict(sent('msg_1', '{}', `${Array(8).fill(other).join(' ')} ${good}`))).toBe('malformed');
    expect(verdict(sent('msg_1', '{}', Array(10_000).fill(good).join(' ')))).toBe('malformed');
    expect(verdict(sent('msg_1', '{}', good.replace('v1,', 'v2,')))).toBe('bad_signature');
    expect(verdict(sent('msg_1', '{}', good.replace('v1,', 'v1a,')))).toBe('bad_signature');
  });

  it('with a dot in the id are refused: the parts could be shifted', () => {
    const body = `${now / 1000}.{}`;
    const good = new Webhook(secret).sign('msg', new Date(now), body);
    // The same bytes are signed with the id "msg.1750000000" and the body "{}".
    expect(verdict(sent(`msg.${now / 1000}`, '{}', good))).toBe('malformed');
    expect(verdict(sent('', '{}'))).toBe('malformed');
  });
});

describe('GitHub', () => {
  it('deliveries of its own library are taken, with event, action and id', async () => {
    const body = '{"action":"opened","number":1}';
    const headers = {
      'x-hub-signature-256': await githubSign('development-secret', body),
      'x-github-event': 'pull_request',
      'x-github-delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
    };
    const sent: Sent = { scheme: 'github', secrets: ['development-secret'], headers, body, now: 0 };
    expect(verify(sent)).toEqual({
      ok: true,
      eventType: 'pull_request.opened',
      deliveryId: '72d3162e-cc78-11e3-81ab-4c9367dc0958',
    });
    expect(verdict({ ...sent, secrets: ['of-another-tenant'] })).toBe('bad_signature');
  });

  it('signatures with SHA-1 do not count', () => {
    const sha1 = createHmac('sha1', 's').update('{}').digest('hex');
    const headers = { 'x-hub-signature': `sha1=${sha1}` };
    expect(verdict({ scheme: 'github', secrets: ['s'], headers, body: '{}', now: 0 })).toBe('no_signature');
    const wrong = { 'x-hub-signature-256': `sha1=${sha1}` };
    expect(verdict({ scheme: 'github', secrets: ['s'], headers: wrong, body: '{}', now: 0 })).toBe('bad_signature');
  });
});

describe('Stripe', () => {
  const { stripe } = VECTORS as { stripe: Sent };

  it('deliveries are named by the id of the event, and by its type', () => {
    expect(verify(stripe)).toEqual({ ok: true, deliveryId: 'evt_1PxWafer', eventType: 'invoice.paid' });
  });

  it('a v0 never counts, several v1 do, two time stamps are refused', () => {
    expect(verdict(withSignature(stripe, (text) => text.replace('v1=', 'v0=')))).toBe('no_signature');
    expect(verdict(withSignature(stripe, (text) => text.replace('v1=', `v1=${'0'.repeat(64)},v1=`)))).toBe('ok');
    expect(verdict(withSignature(stripe, (text) => `${text},t=1700000001`))).toBe('malformed');
    expect(verdict(withSignature(stripe, (text) => `${text}${',v1=0'.repeat(8)}`))).toBe('malformed');
  });
});

describe('Slack', () => {
  const signed = (body: string): Sent => ({
    scheme: 'slack',
    secrets: ['shh'],
    headers: {
      'x-slack-request-timestamp': '1700000000',
      'x-slack-signature': `v0=${createHmac('sha256', 'shh').update(`v0:1700000000:${body}`).digest('hex')}`,
    },
    body,
    now: 1700000000_000,
  });

  it('a challenge is answered, but only when it is signed', () => {
    const sent = signed('{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY","type":"url_verification"}');
    expect(verify(sent)).toMatchObject({
      ok: true,
      handshake: { body: '{"challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY"}' },
    });
    expect(verdict({ ...sent, secrets: ['other'] })).toBe('bad_signature');
  });

  it('events have their own id and type; commands are told apart by their signature', () => {
    const body = '{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention"}}';
    expect(verify(signed(body))).toEqual({ ok: true, deliveryId: 'Ev1', eventType: 'app_mention' });
    const command = verify(signed('command=%2Fx'));
    expect(command).toMatchObject({ ok: true, deliveryId: expect.stringMatching(/^sha256:/) });
    expect(verify(signed('command=%2Fx'))).toEqual(command);
    expect(verify(signed('command=%2Fy'))).not.toEqual(command);
  });
});

describe('GitLab', () => {
  it('deliveries are named by their idempotency key, else by event and body', () => {
    const { gitlab } = VECTORS as { gitlab: Sent };
    const named = (more: Headers, body = gitlab.body) =>
      verify({ ...gitlab, headers: { ...gitlab.headers, ...more }, body });
    expect(named({ 'idempotency-key': 'k' })).toEqual({ ok: true, deliveryId: 'k', eventType: 'push' });
    const uuid = { 'x-gitlab-event-uuid': 'u' };
    expect(named(uuid)).toEqual(named(uuid));
    expect(named(uuid)).not.toEqual(named(uuid, '{"object_kind":"push","n":2}'));
    expect(named({ 'x-gitlab-event': 'Push Hook' }, '[]')).toEqual({ ok: true, eventType: 'Push Hook' });
  });
});

describe('HMAC', () => {
  it.each(['hex', 'base64', 'base64url'] as const)('in %s, over id, time and body', (encoding) => {
    const settings: SchemeSettings = {
      header: 'x-sum',
      encoding,
      idHeader: 'x-id',
      timestampHeader: 'x-time',
      typeHeader: 'x-type',
      signed: 'v1:{id}:{timestamp}:{body}',
    };
    const sum = createHmac('sha256', 'shh').update('v1:d1:1700000000:{}').digest(encoding);
    const headers = { 'x-sum': sum, 'x-id': 'd1', 'x-time': '1700000000', 'x-type': 'made' };
    const sent: Sent = { scheme: 'hmac', secrets: ['shh'], headers, body: '{}', now: 1700000000_000, settings };
    expect(verify(sent)).toEqual({ ok: true, deliveryId: 'd1', eventType: 'made' });
    expect(verdict({ ...sent, headers: { ...headers, 'x-id': 'd2' } })).toBe('bad_signature');
    expect(verdict({ ...sent, headers: { ...headers, 'x-id': 'd:1' } })).toBe('malformed');
    expect(verdict({ ...sent, headers: { ...headers, 'x-time': undefined } })).toBe('bad_timestamp');
    expect(verdict({ ...sent, now: sent.now + 400_000 })).toBe('stale');
    expect(verdict({ ...sent, now: sent.now - 400_000 })).toBe('future');
  });

  it('without an id names a delivery by time and signature', () => {
    const { hmac } = VECTORS as { hmac: Sent };
    expect(verify(hmac)).toMatchObject({ deliveryId: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) });
  });
});

describe('Ed25519', () => {
  it('takes keys as hex, base64 and PEM, and no other kind of key', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
    const signature = signBytes(null, Buffer.from('hi'), privateKey).toString('base64');
    const sent = (key: string): Sent => ({
      scheme: 'ed25519',
      secrets: [key],
      headers: { 'x-sig': signature },
      body: 'hi',
      now: 0,
      settings: { header: 'x-sig', encoding: 'base64' },
    });
    const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString();
    for (const key of [raw.toString('hex'), raw.toString('base64'), pem]) expect(verdict(sent(key))).toBe('ok');
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
    for (const key of [
      '',
      'zz',
      raw.subarray(1).toString('hex'),
      rsa.export({ format: 'pem', type: 'spki' }).toString(),
    ])
      expect(verdict(sent(key))).toBe('bad_signature');
  });
});

describe('bearer and none', () => {
  it('a bearer has a header of its own when it says so', () => {
    const sent: Sent = {
      scheme: 'bearer',
      secrets: ['a-long-enough-secret'],
      headers: { 'x-token': 'a-long-enough-secret', 'x-id': '7' },
      body: '{"type":"t"}',
      now: 0,
      settings: { header: 'x-token', idHeader: 'x-id' },
    };
    expect(verify(sent)).toEqual({ ok: true, deliveryId: '7', eventType: 't' });
    expect(verdict({ ...sent, headers: { 'x-token': 'Bearer a-long-enough-secret' } })).toBe('bad_signature');
  });

  it('the name of the scheme of a bearer is the same in any case, the token is not', () => {
    const { bearer } = VECTORS as { bearer: Sent };
    expect(verdict(withSignature(bearer, (text) => text.replace('Bearer', 'bearer')))).toBe('ok');
    expect(verdict(withSignature(bearer, (text) => text.replace('Bearer', 'Basic')))).toBe('bad_signature');
  });

  it('none takes everything, and gives no name that was not set', () => {
    expect(verify({ scheme: 'none', secrets: [], headers: {}, body: 'x', now: 0 })).toEqual({ ok: true });
  });
});
