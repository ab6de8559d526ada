/** Functions as the registry shows them: versions and aliases are tags, and a push is a deploy. */

import { WaferError } from '../../errors.ts';
import type { Deployer, FunctionStore } from '../../functions/types.ts';
import type { Digest } from '../types.ts';

export interface FunctionImages {
  names(): Promise<string[]>;
  /** Every version by its number, and every alias. Null when there is no such function. */
  tags(name: string): Promise<Map<string, Digest> | null>;
  /** Makes an image of the store the next version, which `live` moves to. @returns its number */
  deploy(name: string, image: Digest, signal: AbortSignal): Promise<number>;
  setAlias(name: string, alias: string, version: number): Promise<void>;
}

export interface FunctionImagesDeps {
  functions: Pick<FunctionStore, 'list' | 'get' | 'versions' | 'setAlias'>;
  deployer: Pick<Deployer, 'deploy'>;
}

export function createFunctionImages({ functions, deployer }: FunctionImagesDeps): FunctionImages {
  return {
    names: async () => (await functions.list()).map(({ name }) => name),
    async tags(name) {
      try {
        const [{ aliases }, versions] = await Promise.all([functions.get(name), functions.versions(name)]);
        const images = new Map(versions.map(({ number, image }) => [number, image]));
        const tags = new Map([...images].map(([number, image]) => [String(number), image]));
        for (const [alias, number] of Object.entries(aliases)) {
          const image = images.get(number);
          if (image !== undefined) tags.set(alias, image);
        }
        return tags;
      } catch (error) {
        if (error instanceof WaferError && error.code === 'function_not_found') return null;
        throw error;
      }
    },
    async deploy(name, image, signal) {
      const version = await deployer.deploy({ name, source: { kind: 'image', reference: image }, signal }, () => {});
      return version.number;
    },
    setAlias: async (name, alias, version) => void (await functions.setAlias(name, alias, version)),
  };
}
