/** The part of the API about secrets. */
import type { SecretView } from '../core/secrets/index.ts';
import { connect, jsonCaller, parse, problemError, query, readProblem } from './client.ts';
import { readAll } from './transport.ts';

export type SecretChange = SecretView & { changed: boolean; replaced: number };

export interface SecretClient {
  list(): Promise<SecretView[]>;
  set(name: string, value: Buffer): Promise<SecretChange>;
  rotate(name: string, value: Buffer): Promise<SecretChange>;
  remove(name: string, force: boolean): Promise<void>;
}

export function createSecretClient(env: Record<string, string | undefined>): SecretClient {
  const connection = connect(env);
  const json = jsonCaller(connection);
  const at = (name: string) => `/v1/secrets/${encodeURIComponent(name)}`;
  const send = async (method: string, path: string, body: Buffer): Promise<SecretChange> => {
    const headers = { 'content-type': 'application/octet-stream' };
    const reply = await connection.call(method, path, { headers, body });
    if (reply.status >= 400) throw problemError(await readProblem(reply, connection));
    return parse((await readAll(reply, connection.origin)).toString(), connection.origin) as SecretChange;
  };
  return {
    list: async () => (await json<{ secrets: SecretView[] }>('GET', '/v1/secrets')).secrets,
    set: (name, value) => send('PUT', at(name), value),
    rotate: (name, value) => send('POST', `${at(name)}/rotate`, value),
    remove: async (name, force) => void (await json('DELETE', `${at(name)}${query({ force })}`)),
  };
}
