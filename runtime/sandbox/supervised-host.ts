/**
 * A sandbox host that outlives its engine: when the engine dies, its sandboxes are
 * gone and a new engine is started; requests that come meanwhile wait for it.
 */
import { openSandboxHost, type SandboxHostHooks } from './sandbox-host.ts';
import { type EngineInfo, SandboxError, type SandboxHost, type SandboxHostOptions } from './types.ts';
import { followVolumes } from './volumes.ts';

const RESTART_MS = [0, 200, 1_000, 5_000];

export async function openSupervisedHost(options: SandboxHostOptions & SandboxHostHooks): Promise<SandboxHost> {
  let closed = false;
  let failures = 0;
  let info: EngineInfo;
  let current: Promise<SandboxHost>;

  const open = async (): Promise<SandboxHost> => {
    const host = await openSandboxHost({ ...options, onEngineExit: onExit });
    info = host.info;
    return host;
  };
  const reopen = async (): Promise<SandboxHost> => {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, RESTART_MS[Math.min(failures, RESTART_MS.length - 1)]));
      if (closed) throw new SandboxError('engine_failed', 'restart', 'the sandbox host is closed');
      try {
        const host = await open();
        setTimeout(() => (failures = 0), 60_000).unref(); // it has proved itself
        return host;
      } catch (error) {
        failures++;
        options.onEngineExit?.(`the engine could not be restarted: ${(error as Error).message}`);
      }
    }
  };
  function onExit(reason: string): void {
    if (closed) return;
    failures++;
    const old = current;
    current = old.then((host) => host.close()).then(reopen);
    current.catch(() => {}); // every request that waits for it sees the failure
    options.onEngineExit?.(reason);
  }

  current = open();
  await current;
  return {
    get info() {
      return info;
    },
    create: async (spec) => (await current).create(spec),
    startZygote: async (spec) => (await current).startZygote(spec),
    unpack: async (layer, tar, limits) => (await current).unpack(layer, tar, limits),
    adopt: async (upper, layer) => (await current).adopt(upper, layer),
    pack: async (upper, packing) => (await current).pack(upper, packing),
    removeLayer: async (name) => (await current).removeLayer(name),
    removeWork: async (name) => (await current).removeWork(name),
    measureWork: async (name) => (await current).measureWork(name),
    removeVolume: async (name) => (await current).removeVolume(name),
    volumes: followVolumes(async () => (await current).volumes),
    list: async () => (await current).list(),
    engineStats: async () => (await current).engineStats(),
    async close() {
      closed = true;
      await current.then((host) => host.close()).catch(() => {}); // a host that never came back has nothing to close
    },
  };
}
