import { probeCgroups } from './cgroups.ts';
import { probeKernel, probeLandlock, probeSeccomp } from './kernel.ts';
import type { ProbeContext, ProbeResult } from './probe.ts';
import { probeNode, probePlatform, probeUser } from './process.ts';
import { probeNetFilter, probeOverlay } from './sandbox-parts.ts';
import { probeBaseImages, probeDataDir, probeDisk, probeEngine, probeRedis } from './storage.ts';
import { probeSubordinateIds, probeUserNamespaces } from './user-namespaces.ts';
import { probePythonZygote } from './zygote.ts';

/** All probes at once, in the order they are shown. */
export async function runProbes(context: ProbeContext): Promise<ProbeResult[]> {
  const results = await Promise.all([
    probeKernel(),
    probeUser(context),
    probeUserNamespaces(context),
    probeSubordinateIds(context),
    probeOverlay(context),
    probeSeccomp(),
    probeLandlock(context.subject),
    probeCgroups(context),
    probeNetFilter(context),
    probeRedis(context),
    probeNode(),
    probeDisk(context),
    probeDataDir(context),
    probeEngine(context),
    probeBaseImages(context),
    probePythonZygote(context),
    probePlatform(context),
  ]);
  return results.filter((result) => result !== null);
}

export type { ProbeContext, ProbeResult } from './probe.ts';
