/** Functions and containers share commands; their names may be the same. */
import type { Container } from '../../core/containers/types.ts';
import { WaferError } from '../../core/errors.ts';
import { type Client, createClient } from '../client.ts';
import type { FunctionDetail } from '../client-types.ts';
import { type ContainerClient, createContainerClient } from '../container-client.ts';

export const whichFlags = {
  container: { type: 'boolean', description: 'The container of that name' },
  function: { type: 'boolean', description: 'The function of that name' },
} as const;

export interface Which {
  container?: boolean | undefined;
  function?: boolean | undefined;
}

export type Named = { kind: 'function'; detail: FunctionDetail } | { kind: 'container'; container: Container };

/** What can not even be a name of that kind is not there either. */
const ABSENT = ['function_not_found', 'container_not_found', 'not_found', 'invalid_name', 'invalid_request'];

async function ifThere<T>(look: () => Promise<T>): Promise<T | null> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof WaferError && ABSENT.includes(error.code)) return null;
    throw error;
  }
}

export interface Finder {
  functions: Client;
  containers: ContainerClient;
  /** @throws WaferError `not_found`; `conflict` when both have the name and nothing says which is meant */
  find(name: string, which: Which): Promise<Named>;
}

export function createFinder(env: Record<string, string | undefined>): Finder {
  const functions = createClient(env);
  const containers = createContainerClient(env);
  return {
    functions,
    containers,
    async find(name, which) {
      const both = which.container === which.function;
      const [detail, container] = await Promise.all([
        which.function || both ? ifThere(() => functions.describe(name)) : null,
        which.container || both ? ifThere(() => containers.get(name)) : null,
      ]);
      // An id, or the beginning of one, is no name: the function that is called so is meant.
      if (detail !== null && container?.name === name) throw ambiguous(name);
      if (detail !== null) return { kind: 'function', detail };
      if (container !== null) return { kind: 'container', container };
      throw missing(name, which);
    },
  };
}

const ambiguous = (name: string) =>
  new WaferError('conflict', `A function and a container are called ${name}.`, {
    hint: 'Say which with --function or --container.',
  });

function missing(name: string, which: Which): WaferError {
  if (which.container && !which.function)
    return new WaferError('container_not_found', `There is no container ${name}.`, {
      hint: '"wafer ps -a" lists them.',
    });
  if (which.function && !which.container)
    return new WaferError('function_not_found', `There is no function ${name}.`, { hint: '"wafer list" lists them.' });
  return new WaferError('not_found', `There is no function and no container ${name}.`, {
    hint: '"wafer list" lists functions, "wafer ps -a" containers.',
  });
}
