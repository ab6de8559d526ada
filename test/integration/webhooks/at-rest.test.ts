/** Secrets of webhooks and callbacks as they lie in Redis, and with a key that does not open them. */
import type { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { keysOf } from '../../../services/core/store/keys.ts';
import { newTextBox } from '../../helpers/text-box.ts';
import { openCallbackLab } from '../callbacks/lab.ts';
import { GITHUB_SECRET, openWebhookLab, type WebhookLab } from './lab.ts';

const NEXT = 'the-next-secret-of-the-sender';

/** Every field and value of every key. */
async function dump(redis: Redis): Promise<string> {
  const parts: string[] = [];
  for (const key of await redis.keys('*')) {
    const type = await redis.type(key);
    if (type === 'hash') parts.push(...Object.entries(await redis.hgetall(key)).flat());
    if (type === 'string') parts.push((await redis.get(key)) ?? '');
  }
  return parts.join('\n');
}
const redisOf = (lab: WebhookLab) => lab.durable.redis.connection.redis;

describe('secrets of webhooks', () => {
  it('are nowhere in Redis, and prove deliveries all the same', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    const { secret } = await lab.add({ name: 'made', scheme: 'standard' });
    await lab.webhooks.rotate('w', { secret: NEXT, keepMs: 60_000 });
    const all = await dump(redisOf(lab));
    expect(all).toContain(id);
    for (const one of [GITHUB_SECRET, NEXT, secret?.slice(6) ?? '']) {
      expect(one).not.toBe('');
      expect(all).not.toContain(one);
      expect(all).not.toContain(Buffer.from(one).toString('base64'));
    }
    expect(await lab.github(id, 'd1')).toMatchObject({ verdict: 'accepted' });
  });

  it('that the key does not open stop deliveries, not the webhook: it is shown, changed, given another, and removed', async () => {
    const lab = await openWebhookLab();
    const { id } = await lab.add();
    const other = lab.open({ box: newTextBox() });
    expect((await other.get('w')).secrets).toMatchObject([{ fingerprint: 'locked' }]);
    const github = { headers: { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` }, body: Buffer.from('{}') };
    await expect(other.receive(await other.find(id), github)).rejects.toMatchObject({ code: 'secrets_locked' });
    // What is changed without being opened is opened by its own key afterwards.
    await other.update('w', { events: ['push'] });
    expect(await lab.github(id, 'd1')).toMatchObject({ verdict: expect.stringMatching(/accepted|filtered/) });
    await other.rotate('w', { secret: NEXT, keepMs: 0 });
    expect((await other.get('w')).secrets).toHaveLength(1);
    expect(await other.receive(await other.find(id), github)).toMatchObject({ verdict: 'bad_signature' });
    await other.remove('w');
    expect(await lab.webhooks.list()).toEqual([]);
  });

  it('do not open in the definition of another webhook', async () => {
    const lab = await openWebhookLab();
    const redis = redisOf(lab);
    const [one, two] = [await lab.add(), await lab.add({ name: 'two' })];
    const read = async (id: string) =>
      JSON.parse((await redis.get(keysOf().webhook(id))) ?? '') as { secrets: unknown };
    const { secrets } = await read(one.id);
    await redis.set(keysOf().webhook(two.id), JSON.stringify({ ...(await read(two.id)), secrets }));
    expect((await lab.webhooks.get('two')).secrets).toMatchObject([{ fingerprint: 'locked' }]);
  });

  it('from before there was encryption count, and are sealed by the next change', async () => {
    const lab = await openWebhookLab();
    const redis = redisOf(lab);
    const { id } = await lab.add();
    const webhook = JSON.parse((await redis.get(keysOf().webhook(id))) ?? '') as Record<string, unknown>;
    const plain = { ...webhook, secrets: [{ value: GITHUB_SECRET, addedAt: 1 }] };
    await redis.set(keysOf().webhook(id), JSON.stringify(plain));
    expect(await lab.github(id, 'd1')).toMatchObject({ verdict: 'accepted' });
    await lab.webhooks.update('w', { disabled: false });
    expect(await dump(redis)).not.toContain(GITHUB_SECRET);
    expect(await lab.github(id, 'd2')).toMatchObject({ verdict: 'accepted' });
  });
});

it('the secret that callbacks are signed with is nowhere in Redis, before and after it is rotated', async () => {
  const lab = await openCallbackLab();
  try {
    const { redis } = lab.durable.redis.connection;
    const first = await lab.callbacks.secrets();
    const { secret, previous } = await lab.callbacks.rotate(60_000);
    expect(secret).toMatch(/^whsec_/);
    expect(previous).toMatchObject([{ secret: first.secret }]);
    const all = await dump(redis);
    for (const one of [first.secret, secret]) expect(all).not.toContain(one.slice(6));
    // One from before there was encryption signs on.
    await redis.del(keysOf().callbackSecrets);
    await redis.hset(keysOf().callbackSecrets, secret, '');
    expect(await lab.callbacks.secrets()).toMatchObject({ secret });
  } finally {
    await lab.close();
  }
});
