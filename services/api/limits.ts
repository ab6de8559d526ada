/** What a client may take, each with the reason. One object, so that tests can tighten it. */
const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1000;

export const API_LIMITS = {
  /** Body of an invoke call; held in memory. The same as a result. */
  invokeBytes: 6 * MIB,
  resultBytes: 6 * MIB,
  /** Arrays and objects in an event: Python's JSON reader stops near 1000, a browser's stack not far behind. */
  eventDepth: 500,
  /** Archive as uploaded; streamed, never held. What it unpacks to is limited by the deployer. */
  archiveBytes: 100 * MIB,
  /** Deploy with inline `files`; held in memory. */
  inlineBytes: 10 * MIB,
  configBytes: 256 * KIB,
  /** Bodies of deliveries to webhooks that are held in memory at one time: nobody needs a key to send one. */
  hookBytesAtOnce: 64 * MIB,
  /** Every other JSON body. */
  jsonBytes: 64 * KIB,
  /** Build output waiting for a slow reader; above it lines are left out and counted. */
  buildLogBytes: MIB,
  /** What waits in a session, in each direction, before the faster side is held back. */
  sessionBytes: 256 * KIB,
  headerBytes: 16 * KIB,
  connections: 8192,
  /** Request line and headers, also for a connection that sends nothing at all. */
  headersMs: 10 * SECOND,
  keepAliveMs: 72 * SECOND,
  /**
   * There is no limit for a whole request: an upload or a call may rightly take long. What is
   * limited is standing still: a body that brings fewer than `bodyStallBytes` in `bodyStallMs`
   * while we are waiting for it, and a reader that takes nothing for `readerStallMs`.
   */
  bodyStallMs: 15 * SECOND,
  bodyStallBytes: 4 * KIB,
  readerStallMs: 30 * SECOND,
  /** After an answer that came before the end of the request body: time to read it away. */
  lingerMs: 3 * SECOND,
  sweepMs: SECOND,
  /** A quiet log stream says something this often, so that dead clients are noticed. */
  heartbeatMs: 15 * SECOND,
};

export type ApiLimits = { readonly [K in keyof typeof API_LIMITS]: number };
