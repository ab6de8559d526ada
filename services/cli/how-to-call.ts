import type { RuntimeName } from '../core/functions/schema.ts';
import type { Client } from './client.ts';

/** The shell word that gives the key, so that a printed line can be pasted. Never the key itself. */
export const keyExpression = (source: string | null): string =>
  source === null || source === 'WAFER_KEY' ? '$WAFER_KEY' : `$(cat ${source})`;

/** How to call a function: by this CLI and by any HTTP client. */
export function callLines(client: Pick<Client, 'url' | 'keySource'>, name: string, runtime: RuntimeName): string[] {
  const header = `-H "Authorization: Bearer ${keyExpression(client.keySource)}"`;
  if (runtime === 'http') return [`Call it   curl ${header} ${client.url}/fn/${name}/`];
  return [
    `Call it   wafer invoke ${name} --data '{}'`,
    `          curl ${header} -H 'Content-Type: application/json' -d '{}' ${client.url}/v1/functions/${name}/invoke`,
  ];
}
