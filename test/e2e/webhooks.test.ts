/** Webhooks of a real platform: the example, real signers, the real command line, and a crash. */
import { join } from 'node:path';
import { sign as githubSign } from '@octokit/webhooks-methods';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Invocation } from '../../services/core/invocations/view.ts';
import type { DeliveryDetail } from '../../services/core/triggers/webhooks/view.ts';
import { ROOT } from '../helpers/paths.ts';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { until } from '../helpers/until.ts';

/** Slow, so that a crash finds it running. */
const SLOW = `
export async function handler({ event, type }) {
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  return { type, event };
}`;

let wafer: TestPlatform;
beforeAll(async () => {
  wafer = await startTestPlatform();
  await forget();
});
afterAll(async () => {
  await forget();
  for (const name of ['github-webhook', 'slow']) await wafer.remove(name);
  await wafer.stop();
});

/** The data of the platform is there from run to run. */
const forget = async () => {
  for (const name of ['repo', 'orders']) await wafer.fetch(`/v1/webhooks/${name}`, { method: 'DELETE' });
};
const ok = async (...args: string[]) => {
  const result = await wafer.wafer(args);
  expect(result, result.stderr).toMatchObject({ status: 0 });
  return result.stdout;
};
const add = async (name: string, ...flags: string[]) => {
  const { webhook, secret } = JSON.parse(await ok('webhook', 'add', name, ...flags, '--json'));
  return { path: webhook.url as string, secret: secret as string };
};
const post = (path: string, headers: Record<string, string>, body: string) =>
  fetch(wafer.url + path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
/** When all its invocations have ended. */
const endedOf = (name: string, delivery: string, count: number) =>
  until(`${delivery} ran ${count} times`, async () => {
    const shown = JSON.parse(await ok('webhook', 'show', name, delivery, '--json')) as DeliveryDetail;
    if (shown.invocations.length < count) return false;
    const all = await Promise.all(
      shown.invocations.map(
        async ({ id }) => (await (await wafer.fetch(`/v1/invocations/${id}`)).json()) as Invocation,
      ),
    );
    return all.every(({ state }) => state === 'succeeded') && all;
  });
const resultOf = async (id: string) => JSON.parse(await ok('invocations', 'result', id)) as unknown;

describe('the example github-webhook', () => {
  it('says what happened, once for each delivery, whoever sends it again, and again when that is asked', async () => {
    await ok('deploy', join(ROOT, 'functions-examples/github-webhook'));
    const { path, secret } = await add(
      'repo',
      '-f',
      'github-webhook',
      '--scheme',
      'github',
      '-e',
      'push',
      '-e',
      'pull_request',
    );
    const body = JSON.stringify({
      ref: 'refs/heads/main',
      pusher: { name: 'ada' },
      commits: [{}, {}],
      repository: { full_name: 'octo/hello' },
    });
    const guid = `guid-${Date.now()}`;
    const headers = {
      'x-github-event': 'push',
      'x-github-delivery': guid,
      'x-hub-signature-256': await githubSign(secret, body),
    };
    const first = await post(path, headers, body);
    expect(first.status, await first.clone().text()).toBe(202);
    const { delivery } = (await first.json()) as { delivery: string };
    expect((await post(path, headers, body)).status).toBe(200);
    expect((await post(path, headers, body.replace('ada', 'eve'))).status).toBe(401);

    const [one] = await endedOf('repo', delivery, 1);
    const line = 'ada pushed 2 commits to main of octo/hello';
    expect(one).toMatchObject({ trigger: 'webhook', origin: delivery, functionName: 'github-webhook' });
    expect(await resultOf(one?.id ?? '')).toEqual({ type: 'push', deliveryId: guid, line });
    expect(await ok('invocations', 'logs', one?.id ?? '')).toContain(line);

    await ok('webhook', 'redeliver', 'repo', delivery);
    const [, again] = await endedOf('repo', delivery, 2);
    expect(await resultOf(again?.id ?? '')).toEqual({ type: 'push', deliveryId: guid, line });
    const came = await ok('webhook', 'deliveries', 'repo');
    for (const verdict of ['accepted', 'duplicate', 'bad_signature']) expect(came).toContain(verdict);
  });

  it('is tried with a sample of GitHub, and leaves out what nobody asked for', async () => {
    const sent = JSON.parse(await ok('webhook', 'test', 'repo', '--as', 'github', '--json'));
    expect(sent).toMatchObject({ status: 202, answer: { verdict: 'accepted' } });
    const [ended] = await endedOf('repo', sent.answer.delivery, 1);
    expect(await resultOf(ended?.id ?? '')).toMatchObject({
      type: 'pull_request.opened',
      line: 'somebody wants to merge "A sample" into octo/hello (https://github.com/octo/hello/pull/1)',
    });
    await ok('webhook', 'update', 'repo', '-e', 'issues');
    expect(await ok('webhook', 'test', 'repo')).toContain('202 filtered');
  });
});

describe('a platform that is killed after it said 202', () => {
  it('runs the delivery all the same, once, and knows it when it comes again', async () => {
    await wafer.deploy('slow', { 'index.mjs': SLOW });
    const { path, secret } = await add('orders', '-f', 'slow', '--scheme', 'standard');
    const body = '{"type":"order.paid","data":{"id":7}}';
    const id = `msg_${Date.now()}`;
    const sign = () => {
      const at = new Date();
      const signature = new Webhook(secret).sign(id, at, body);
      return {
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
        'webhook-signature': signature,
      };
    };
    const taken = await post(path, sign(), body);
    expect(taken.status).toBe(202);
    const { delivery } = (await taken.json()) as { delivery: string };
    await wafer.kill();
    wafer = await startTestPlatform();
    expect((await post(path, sign(), body)).status).toBe(200);
    const ended = await endedOf('orders', delivery, 1);
    expect(ended).toHaveLength(1);
    expect(await resultOf(ended[0]?.id ?? '')).toEqual({ type: 'order.paid', event: JSON.parse(body) });
    const { invocations } = (await (await wafer.fetch('/v1/invocations?function=slow')).json()) as {
      invocations: Invocation[];
    };
    expect(invocations.filter(({ origin }) => origin === delivery)).toHaveLength(1);
  });
});

describe('a CloudEvent', () => {
  it.each([
    ['binary', { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/s', 'ce-type': 'made' }, '{"n":1}'],
    [
      'structured',
      { 'content-type': 'application/cloudevents+json' },
      '{"specversion":"1.0","id":"1","source":"/s","type":"made","datacontenttype":"application/json","data":{"n":1}}',
    ],
  ])('that is %s is one event to a function, called by key', async (_mode, headers, body) => {
    await wafer.deploy('echo', { 'index.mjs': 'export const handler = async (event) => event;' });
    const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body };
    const answer = await wafer.fetch('/v1/functions/echo/invoke', init as RequestInit);
    expect(await answer.json()).toEqual({
      specversion: '1.0',
      id: '1',
      source: '/s',
      type: 'made',
      datacontenttype: 'application/json',
      data: { n: 1 },
    });
    await wafer.remove('echo');
  });
});
