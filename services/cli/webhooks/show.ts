/** Webhooks and deliveries for people. */
import type { Verdict } from '../../core/triggers/webhooks/types.ts';
import type { DeliveryDetail, DeliveryView, WebhookShown } from '../../core/triggers/webhooks/view.ts';
import { formatAgo, formatBytes, formatMs, safeText } from '../format.ts';
import { fromNow, localTime } from '../schedules/timing.ts';
import type { Ui } from '../ui.ts';
import type { WebhookSetUp } from '../webhook-client.ts';

const COLOURS: Partial<Record<Verdict, 'green' | 'yellow' | 'dim'>> = {
  accepted: 'green',
  handshake: 'green',
  filtered: 'dim',
  duplicate: 'dim',
  disabled: 'yellow',
};
const MAX_CELL = 40;

const paintVerdict = (ui: Ui, verdict: Verdict) => ui.paint(COLOURS[verdict] ?? 'red', verdict);

/** After it was made or changed: its URL, and a secret that is not shown again. */
export function showSetUp(ui: Ui, origin: string, { webhook, secret }: WebhookSetUp): void {
  ui.pairs([['URL', origin + webhook.url], ...(secret === undefined ? [] : [['Secret', secret] as const])]);
  if (secret !== undefined) ui.err('The secret is shown only now; give it to the sender.');
}

export function showWebhooks(ui: Ui, origin: string, webhooks: readonly WebhookShown[]): void {
  ui.table(
    [
      { header: 'WEBHOOK', style: 'bold' },
      { header: 'FUNCTION' },
      { header: 'SCHEME' },
      { header: 'EVENTS' },
      { header: 'STATE' },
      { header: 'URL' },
    ],
    webhooks.map(({ name, functionName, alias, scheme, events, disabled, url }) => [
      name,
      alias === 'live' ? functionName : `${functionName} (${alias})`,
      scheme,
      cut(events.length === 0 ? 'all' : events.join(', ')),
      disabled ? ui.paint('yellow', 'disabled') : 'active',
      origin + url,
    ]),
  );
}

export function showWebhook(ui: Ui, origin: string, webhook: WebhookShown, now: number): void {
  const { name, functionName, alias, scheme, settings, events, toleranceMs, disabled, url, createdAt } = webhook;
  const own = Object.entries(settings).map(([key, value]) => `${key} ${value}`);
  const rows: [string, string][] = [
    ['Webhook', name],
    ['URL', origin + url],
    ['Function', `${functionName} (${alias})`],
    ['Scheme', [scheme, ...own].join(', ')],
    ['Events', events.length === 0 ? 'all' : events.join(', ')],
    ['Tolerance', formatMs(toleranceMs)],
    ['State', disabled ? 'disabled' : 'active'],
    ['Made', `${localTime(createdAt)}, ${fromNow(createdAt, now)}`],
  ];
  for (const { fingerprint, addedAt, expiresAt } of webhook.secrets) {
    const end =
      expiresAt === undefined ? '' : `, ${expiresAt > now ? 'counts until' : 'counted until'} ${localTime(expiresAt)}`;
    rows.push(['Secret', `sha256:${fingerprint}, added ${localTime(addedAt)}${end}`]);
  }
  ui.pairs(rows);
}

export function showDeliveries(ui: Ui, deliveries: readonly DeliveryView[], now: number): void {
  ui.table(
    [
      { header: 'DELIVERY' },
      { header: 'CAME', align: 'right' },
      { header: 'VERDICT' },
      { header: 'EVENT' },
      { header: 'BODY', align: 'right' },
      { header: 'INVOCATION' },
    ],
    deliveries.map((one) => [
      one.id,
      formatAgo(one.receivedAt, now),
      paintVerdict(ui, one.verdict),
      cut(safeText(one.eventType ?? '')),
      formatBytes(one.bodyBytes),
      cut(becameOf(one), 60),
    ]),
  );
}

export async function showDelivery(ui: Ui, one: DeliveryDetail): Promise<void> {
  const rows: [string, string | undefined][] = [
    ['Delivery', one.id],
    ['Webhook', one.webhook],
    ['Came', localTime(one.receivedAt)],
    ['Verdict', paintVerdict(ui, one.verdict)],
    ['Named', one.deliveryId],
    ['First', one.first],
    ['Event', one.eventType],
    ['Function', `${one.functionName} (${one.alias})`],
    ...one.invocations.map(({ id, at }): [string, string] => ['Invocation', `${id}, ${localTime(at)}`]),
    ['Pending', one.pending === 0 ? undefined : String(one.pending)],
    ['Error', one.error],
  ];
  ui.pairs(rows.flatMap(([label, text]): [string, string][] => (text === undefined ? [] : [[label, safeText(text)]])));
  ui.out();
  for (const [name, value] of Object.entries(one.headers)) ui.out(`${ui.paint('dim', `${name}:`)} ${safeText(value)}`);
  ui.out();
  if (one.body === undefined) return ui.out(`The body (${formatBytes(one.bodyBytes)}) was not kept.`);
  if (one.isBase64 === true)
    return ui.out(`The body is ${formatBytes(one.bodyBytes)} that are no text; --json has them as base64.`);
  ui.out(safeText(one.body));
}

function becameOf({ invocations, pending, error, first }: DeliveryView): string {
  const last = invocations.at(-1)?.id ?? '';
  if (error !== undefined) return safeText(pending > 0 ? `waits: ${error}` : `failed: ${error}`);
  if (pending > 0) return `${last === '' ? '' : `${last}, `}${pending} to come`;
  if (first !== undefined) return `as ${first}`;
  return invocations.length > 1 ? `${last} and ${invocations.length - 1} before` : last;
}

const cut = (text: string, most = MAX_CELL) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
