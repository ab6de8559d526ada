/** `wafer webhook`: the real CLI, the real API, a real inbox. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sign as githubSign } from '@octokit/webhooks-methods';
import { describe, expect, it, onTestFinished } from 'vitest';
import { TEST_KEY } from '../../helpers/fake-platform.ts';
import { eventually } from '../../helpers/redis.ts';
import { runCli } from '../../helpers/run-cli.ts';
import { type HookServer, openHookServer } from './server.ts';

const wafer = ({ url }: HookServer, args: string[], input?: string) =>
  runCli(['webhook', ...args], {
    env: { WAFER_URL: url, WAFER_KEY: TEST_KEY, TZ: 'UTC' },
    ...(input !== undefined && { input }),
  });
const urlAndSecret = (stdout: string) => ({
  url: /^URL +(\S+)$/m.exec(stdout)?.[1] ?? '',
  secret: /^Secret +(\S+)$/m.exec(stdout)?.[1] ?? '',
});

describe('wafer webhook', () => {
  it('adds one whose URL and secret a sender can use, lists and shows what came, runs it again, removes it', async () => {
    const server = await openHookServer();
    const added = await wafer(server, [
      'add',
      'pushes',
      '-f',
      'f',
      '--scheme',
      'github',
      '-e',
      'push',
      '-e',
      'release',
    ]);
    expect([added.code, added.stderr]).toEqual([0, 'The secret is shown only now; give it to the sender.\n']);
    expect(added.stdout).toContain('pushes calls f (github).');
    const { url, secret } = urlAndSecret(added.stdout);

    const body = '{"ref":"refs/heads/main","\\u001b[2J":1}';
    const headers = {
      'content-type': 'application/json',
      'x-github-event': 'push',
      'x-github-delivery': 'guid-1',
      'x-hub-signature-256': await githubSign(secret, body),
    };
    const { delivery } = (await (await fetch(url, { method: 'POST', headers, body })).json()) as { delivery: string };
    const [invocation] = await server.invoked(1);
    await fetch(url, { method: 'POST', headers: { ...headers, 'x-hub-signature-256': 'sha256=00' }, body });
    await eventually('it is handed over, and the bad one is kept', async () => {
      const { deliveries } = await server.webhooks.deliveries('pushes', { limit: 10 });
      return deliveries.length === 2 && deliveries.every(({ pending }) => pending === 0);
    });

    const listed = (await wafer(server, ['ls'])).stdout;
    expect(listed).toMatch(/pushes +f +github +push, release +active +http/);
    const came = (await wafer(server, ['deliveries', 'pushes'])).stdout;
    expect(came).toMatch(new RegExp(`${delivery} .*accepted +push +\\d+ B +${invocation?.id}`));
    expect(came).toMatch(/dlv_\S+ .*bad_signature/);
    expect((await wafer(server, ['deliveries', 'pushes', '--verdict', 'stale'])).stdout).toBe('None was stale.\n');
    const shown = (await wafer(server, ['show', 'pushes', delivery])).stdout;
    for (const text of ['accepted', 'guid-1', String(invocation?.id), 'x-github-event: push', body])
      expect(shown).toContain(text);
    expect((await wafer(server, ['show', 'pushes'])).stdout).toMatch(/Secret +sha256:[0-9a-f]{12}, added/);

    expect((await wafer(server, ['redeliver', 'pushes', delivery])).stdout).toContain(`${delivery} runs again.`);
    expect((await wafer(server, ['redeliver', 'pushes', '--since', '1h'])).stdout).toContain('1 delivery runs again.');
    expect((await wafer(server, ['redeliver', 'pushes', '--since', '2h', '--until', '1h'])).stdout).toContain(
      '0 deliveries run',
    );
    await server.invoked(3);

    expect((await wafer(server, ['rm', 'pushes'])).stdout).toContain('pushes is removed.');
    const gone = await wafer(server, ['show', 'pushes']);
    expect([gone.code, gone.stderr]).toEqual([2, expect.stringContaining('There is no webhook "pushes"')]);
    expect((await wafer(server, ['ls'])).stdout).toContain('There are no webhooks. Make one');
  });

  it('tests, rotates, disables, enables and changes one, for people and as JSON', async () => {
    const server = await openHookServer();
    const { url, secret } = urlAndSecret((await wafer(server, ['add', 'in', '-f', 'f', '-s', 'standard'])).stdout);
    const tested = await wafer(server, ['test', 'in', '--as', 'github']);
    expect([tested.code, tested.stdout]).toEqual([0, expect.stringMatching(/✓ 202 accepted {2}dlv_/)]);
    const [record] = await server.invoked(1);
    expect(await server.eventOf(record!)).toMatchObject({
      event: { action: 'opened' },
      headers: { 'x-github-event': 'pull_request' },
    });

    const rotated = await wafer(server, ['rotate', 'in', '--keep', '1h']);
    expect(rotated.stdout).toContain('has another secret; the old ones count for 60 min 0 s more.');
    expect(urlAndSecret(rotated.stdout)).toEqual({ url, secret: expect.stringMatching(/^whsec_/) });
    expect(urlAndSecret(rotated.stdout).secret).not.toBe(secret);

    expect((await wafer(server, ['disable', 'in'])).stdout).toContain('in is disabled.');
    const refused = await wafer(server, ['test', 'in']);
    expect([refused.code, refused.stdout]).toEqual([
      1,
      expect.stringContaining('✗ 403 webhook_disabled: This webhook is disabled'),
    ]);
    expect((await wafer(server, ['enable', 'in'])).stdout).toContain('in is enabled.');

    const changed = JSON.parse((await wafer(server, ['update', 'in', '-e', 'invoice.*', '--json'])).stdout);
    expect(changed).toMatchObject({ webhook: { name: 'in', events: ['invoice.*'] } });
    expect((await wafer(server, ['update', 'in', '-e', '*', '--json'])).stdout).toContain('"events": []');
    const list = JSON.parse((await wafer(server, ['deliveries', 'in', '--json'])).stdout) as { verdict: string }[];
    expect(list.map(({ verdict }) => verdict).sort()).toEqual(['accepted', 'disabled']);
    for (const words of [['ls'], ['show', 'in'], ['test', 'in']])
      expect(JSON.parse((await wafer(server, [...words, '--json'])).stdout)).toBeTruthy();
  });

  it('takes the secret of a sender from a file or stdin, so that nobody sees it in a list of processes', async () => {
    const server = await openHookServer();
    const directory = await mkdtemp(join(tmpdir(), 'wafer-secret-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const file = join(directory, 'secret');
    await writeFile(file, 'whsec_of-sixteen-or-more\n');
    const fromFile = await wafer(server, ['add', 'pay', '-f', 'f', '--scheme', 'stripe', '--secret', `@${file}`]);
    expect([fromFile.code, fromFile.stderr]).toEqual([0, '']);
    expect(fromFile.stdout).not.toContain('Secret');
    const fromStdin = await wafer(
      server,
      ['rotate', 'pay', '--secret', '-', '--keep', '0s'],
      'whsec_of-sixteen-or-more',
    );
    expect(fromStdin.stdout).toContain('the old ones count no more');
    const [one] = (await server.webhooks.get('pay')).secrets;
    expect(one?.fingerprint).toBe(createHash('sha256').update('whsec_of-sixteen-or-more').digest('hex').slice(0, 12));
  });

  it.each([
    [['add', 'w', '-f', 'f'], '--scheme is missing'],
    [['add', 'w', '-f', 'f', '--scheme', 'githup'], '--scheme githup is not one of standard, github'],
    [['add', 'w', '-f', 'f', '--scheme', 'stripe'], 'needs the secret of its sender'],
    [['add', 'w', '-f', 'f', '--scheme', 'github', '--secret', 'short'], 'at least 16 characters'],
    [['add', 'w', '-f', 'f', '--scheme', 'github', '--header', 'x-y'], 'the scheme github does not have it'],
    [['add', 'w', '-f', 'f', '--scheme', 'github', '--secret', '@/nowhere'], '/nowhere can not be read'],
    [['add', 'w', '-f', 'nope', '--scheme', 'github'], 'nope'],
    [['add', 'w', '-f', 'f', '--scheme', 'github', '--tolerance', '5'], '--tolerance 5 is not a time span'],
    [['redeliver', 'w'], 'Say which deliveries'],
    [['redeliver', 'w', 'dlv_1', '--since', '1h'], 'Say which deliveries'],
    [['redeliver', 'w', '--until', '1h'], 'Say which deliveries'],
    [['redeliver', 'w', '--since', 'yesterday'], '--since yesterday is not a time'],
    [['deliveries', 'w', '--verdict', 'good'], '--verdict good is not one of accepted'],
    [['update', 'w'], 'Nothing to change'],
    [['test', 'w', '--as', 'paypal'], '--as paypal is not one of standard, github'],
  ])('%j is refused and says why', async (args, message) => {
    const server = await openHookServer();
    const { code, stderr } = await wafer(server, args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
    expect(await server.webhooks.list()).toEqual([]);
  });
});
