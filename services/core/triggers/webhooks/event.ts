/** What the function gets. The same bytes each time: they are compared when an invocation is accepted again. */
import { isUtf8 } from 'node:buffer';
import { type Content, readContent } from './content.ts';
import type { Delivery } from './types.ts';

/** `type, deliveryId, webhook, receivedAt, event, body, isBase64, headers`, as JSON. */
export function toEvent(
  delivery: Pick<Delivery, 'id' | 'webhook' | 'receivedAt' | 'deliveryId' | 'eventType' | 'headers'>,
  body: Buffer,
  content: Content = readContent({ headers: delivery.headers, body }),
): Buffer {
  const { id, webhook, receivedAt, eventType = null, deliveryId = id, headers } = delivery;
  const isText = isUtf8(body);
  const fields = {
    type: eventType,
    deliveryId,
    delivery: id,
    webhook,
    receivedAt,
    headers,
    isBase64: !isText,
    body: body.toString(isText ? 'utf8' : 'base64'),
  };
  // Not parsed and written again: numbers beyond 2^53 come through as the sender wrote them.
  return Buffer.from(`${JSON.stringify(fields).slice(0, -1)},"event":${content.eventJson}}`);
}
