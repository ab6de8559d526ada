/**
 * Every key that Wafer has in Redis. The braces are a cluster hash tag: all keys of
 * one namespace lie in one slot, so a script may touch several of them.
 */
export const DEFAULT_NAMESPACE = 'default';

export function keysOf(namespace: string = DEFAULT_NAMESPACE) {
  const root = `wafer:{${namespace}}`;
  return {
    /** What every key starts with; scripts that build keys get it. */
    root,
    /** zset, all scores 0: function names in order. */
    functions: `${root}:functions`,
    /** hash name -> last version number given out; outlives the function, so numbers are never reused. */
    counters: `${root}:counters`,
    /** hash: name, createdAt, latest. */
    functionRecord: (name: string) => `${root}:fn:${name}`,
    /** hash alias -> version number. */
    aliases: (name: string) => `${root}:fn:${name}:aliases`,
    /** hash version number -> JSON of FunctionVersion. */
    versions: (name: string) => `${root}:fn:${name}:versions`,
    /** string: JSON of InvocationRecord; expires. */
    invocation: (id: string) => `${root}:inv:${id}`,
    /** What `invocation` starts with; scripts put an id behind it. */
    invocationPrefix: `${root}:inv:`,
    /** zset, all scores 0: invocation ids, which sort by time. */
    invocations: `${root}:invs`,
    invocationsOf: (name: string) => `${root}:invs:${name}`,
    /** zset, all scores 0: names of schedules. */
    schedules: `${root}:schedules`,
    /** hash; see `scripts/schedules.ts`. */
    schedule: (name: string) => `${root}:schedule:${name}`,
    /** list of JSON, newest first. */
    scheduleRuns: (name: string) => `${root}:schedule:${name}:runs`,
    /** hash target -> JSON; see `scripts/callbacks.ts`. */
    deliveries: (id: string) => `${root}:call:${id}:deliveries`,
    /** hash of what callbacks are signed with: secret, sealed -> until when, '' for the present one. */
    callbackSecrets: `${root}:callbacks:secrets`,
    /** string by sha256 of a URL that answered 410; expires. */
    callbackGone: (digest: string) => `${root}:callbacks:gone:${digest}`,
    /** What BullMQ's keys start with. */
    queuePrefix: `${root}:q`,
    /** list of JSON of InvocationRecord, newest first: calls that waited for a start; expires. */
    starts: (name: string) => `${root}:starts:${name}`,
    /** hash: name of a webhook -> its id. */
    webhookNames: `${root}:hooks`,
    /** string: JSON of Webhook, its secrets sealed. */
    webhook: (id: string) => `${root}:hook:${id}`,
    /** zsets, all scores 0: ids of deliveries, which sort by time; those that were taken, and the others. */
    deliveriesOf: (webhook: string, kind: 'taken' | 'other') => `${root}:hook:${webhook}:${kind}`,
    /** hash of a delivery, as `triggers/webhooks/record.ts` reads it. */
    delivery: (id: string) => `${root}:dlv:${id}`,
    /** What `delivery` starts with; scripts put an id behind it. */
    deliveryPrefix: `${root}:dlv:`,
    /** zset: ids of deliveries that have to become invocations -> when that is tried next. */
    deliveriesDue: `${root}:dlvs-due`,
    /** string: id of the delivery that came first under that name; expires. */
    deliveryOnce: (digest: string) => `${root}:dlv-once:${digest}`,
    /** stream of where functions connected to, or tried to; expires. */
    egress: `${root}:egress`,
    /** The same of one function. */
    egressOf: (name: string) => `${root}:egress:${name}`,
    ...secretKeys(root),
    /** stream of log lines; expires. */
    logs: (name: string) => `${root}:logs:${name}`,
  };
}

const secretKeys = (root: string) => ({
  /** hash: name of a secret -> JSON of Secret. No values. */
  secrets: `${root}:secrets`,
  /** hash `name@version` -> the value, encrypted. */
  secretValues: `${root}:secrets:values`,
  /** hash name -> last version given out; outlives the secret, so versions are never reused. */
  secretCounters: `${root}:secrets:counters`,
  /** string: counts changes of any secret. */
  secretsRevision: `${root}:secrets:revision`,
});

export type Keys = ReturnType<typeof keysOf>;
