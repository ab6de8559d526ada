/** Webhooks and deliveries as the API gives them, for whoever makes or reads its answers. */
import { isUtf8 } from 'node:buffer';
import type { Delivery, WebhookView } from './types.ts';

/** `url`: its path, below the address of the platform. */
export type WebhookShown = WebhookView & { url: string };

export type DeliveryView = Omit<Delivery, 'body'>;

/** Without `body` when none was kept. */
export type DeliveryDetail = DeliveryView & { body?: string; isBase64?: boolean };

export const viewOfWebhook = (webhook: WebhookView): WebhookShown => ({ ...webhook, url: `/hooks/${webhook.id}` });

export function viewOfDelivery({ body: _body, ...delivery }: Delivery): DeliveryView {
  return delivery;
}

export function detailOfDelivery(delivery: Delivery, body: Buffer | null): DeliveryDetail {
  const view = viewOfDelivery(delivery);
  if (body === null) return view;
  const isBase64 = !isUtf8(body);
  return { ...view, body: body.toString(isBase64 ? 'base64' : 'utf8'), isBase64 };
}
