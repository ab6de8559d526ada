/**
 * How a sender proves that a request is its own. A scheme is a pure function over the bytes as they
 * came and the headers; it knows neither Redis nor HTTP, and the body is parsed only after it was proved.
 */

export const SCHEMES = [
  'standard',
  'github',
  'stripe',
  'slack',
  'shopify',
  'gitlab',
  'hmac',
  'ed25519',
  'bearer',
  'none',
] as const;
export type SchemeName = (typeof SCHEMES)[number];

export const ALGORITHMS = ['sha1', 'sha256', 'sha384', 'sha512'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];
export const ENCODINGS = ['hex', 'base64', 'base64url'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** What can be set of a scheme; each takes its own part (`schemes/settings.ts` says which). Header names in lower case. */
export interface SchemeSettings {
  /** Of the signature. */
  header?: string;
  algorithm?: Algorithm;
  encoding?: Encoding;
  /** Text before the signature in its header, e.g. `sha256=`. */
  prefix?: string;
  /** What is signed: `{body}` once, `{timestamp}` and `{id}` where they are part of it. */
  signed?: string;
  /** Unix seconds. Has to be a part of what is signed. */
  timestampHeader?: string;
  /** Names the delivery. */
  idHeader?: string;
  /** Names the type of the event. */
  typeHeader?: string;
}

/** Lower case names; a header that came twice is joined with `, `, as HTTP has it. */
export type Headers = Readonly<Record<string, string | undefined>>;

export interface SignedRequest {
  headers: Headers;
  body: Buffer;
  /** The body as JSON, parsed once; undefined when it is none. */
  json: () => unknown;
  /** All that count now; one that fits is enough. */
  secrets: readonly string[];
  /** Epoch ms. */
  now: number;
  /** How far a time stamp may be from `now`, into the past and into the future. */
  toleranceMs: number;
  settings: SchemeSettings;
}

/** Why a request is not the sender's, in words that its sender may see. */
export const REFUSALS = {
  no_signature: { status: 401, text: 'It has no signature.' },
  bad_signature: { status: 401, text: 'No signature fits the body and a secret of this webhook.' },
  bad_timestamp: { status: 401, text: 'Its time stamp is missing, or is no time in Unix seconds.' },
  stale: { status: 401, text: 'It was signed too long ago.' },
  future: { status: 401, text: 'It was signed in the future; check the clocks.' },
  malformed: { status: 400, text: 'Its signature headers are not as the scheme has them.' },
} as const;
export type Refusal = keyof typeof REFUSALS;

export type Verified =
  | {
      ok: true;
      /** Of the sender; the same for each try of one delivery. Undefined: nothing tells two of them apart. */
      deliveryId?: string;
      eventType?: string;
      /** Answered with this at once, and nothing else follows. */
      handshake?: { contentType: string; body: string };
    }
  | { ok: false; verdict: Refusal };

export type Scheme = (request: SignedRequest) => Verified;

export const refuse = (verdict: Refusal): Verified => ({ ok: false, verdict });
