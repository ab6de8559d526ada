/** Request bodies that are not fastify's to parse. */
import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import { WaferError } from '../../core/errors.ts';

export const hasBody = ({ headers }: IncomingMessage) =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/**
 * The body as a stream of its own: its consumer may destroy it without closing the
 * connection, on which the answer still has to go out. It fails when the client goes away.
 */
export function detachedBody(request: IncomingMessage): Readable {
  const body = new PassThrough();
  const cut = () => {
    if (!request.complete) body.destroy(new Error('the client ended the connection within the request body'));
  };
  request.once('close', cut);
  body.once('close', () => {
    request.off('close', cut);
    // Nobody wants the rest; reading on keeps the connection usable.
    request.unpipe(body);
    request.resume();
  });
  // A consumer that is gone already must not bring the process down.
  body.on('error', () => {});
  return request.pipe(body);
}

const JSON_TYPE =
  /^application\/(?:json|[a-z0-9][a-z0-9!#$&^_.-]*\+json)((?:[ \t]*;[ \t]*[a-z0-9_-]+=(?:[^\s";,]+|"[^"\\]*"))*)[ \t]*$/i;
const OTHER_CHARSET = /;[ \t]*charset=(?!"?utf-8"?[ \t]*(?:;|$))/i;

export function isJsonType(contentType: string): boolean {
  const parameters = JSON_TYPE.exec(contentType)?.[1];
  return parameters !== undefined && !OTHER_CHARSET.test(parameters);
}

export function refuseEncoding(encoding: string | undefined): void {
  if (encoding === undefined || encoding.toLowerCase() === 'identity') return;
  throw new WaferError('unsupported_media_type', `Bodies with Content-Encoding: ${encoding} are not taken here.`, {
    hint: 'Send the body as it is.',
  });
}
