/** The platform that a worker on another machine has joined: where its API is, and how it is asked. */
import { request } from 'undici';
import { WaferError } from './errors.ts';

export interface Home {
  /** Of the API. */
  url: string;
  key: string;
}

export interface Question {
  method: 'GET' | 'PUT' | 'POST';
  /** Until an answer begins, and between two parts of it. */
  timeoutMs: number;
  body?: Buffer | string | undefined;
  contentType?: string | undefined;
}

/**
 * Its answer, whatever the status says.
 * @throws WaferError `not_reachable`: nothing came, or not all of it
 */
export async function askHome(
  { url, key }: Home,
  path: string,
  { method, timeoutMs, body, contentType }: Question,
): Promise<{ status: number; bytes: Buffer }> {
  const headers = { authorization: `Bearer ${key}`, ...(contentType !== undefined && { 'content-type': contentType }) };
  try {
    const reply = await request(`${url}${path}`, {
      method,
      headers,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      ...(body !== undefined && { body }),
    });
    return { status: reply.statusCode, bytes: Buffer.from(await reply.body.arrayBuffer()) };
  } catch (cause) {
    throw new WaferError('not_reachable', `${url} does not answer.`, { cause, hint: 'Is "wafer up" running there?' });
  }
}
