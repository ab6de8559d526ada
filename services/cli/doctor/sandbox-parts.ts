/** Overlay and net filter, tried for real in a user namespace of the subject. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type ProbeContext, type ProbeResult, verdicts } from './probe.ts';
import { runScript } from './shell.ts';
import { IN_USERNS, onlyEngineMay } from './user-namespaces.ts';

/** The mounts live and die with the namespace; the folder is removed by the trap. */
const OVERLAY = `
d=$(mktemp -d "$1/.wafer-doctor-XXXXXX")
trap 'umount "$d/m" 2>/dev/null || true; chmod -R u+rwX "$d"; rm -rf "$d"' EXIT
mkdir "$d/l" "$d/u" "$d/w" "$d/m"
echo lower > "$d/l/f"
echo gone > "$d/l/g"
mount -t overlay overlay -o "lowerdir=$d/l,upperdir=$d/u,workdir=$d/w,userxattr" "$d/m"
echo upper > "$d/m/f"
rm "$d/m/g"
test "$(cat "$d/l/f")" = lower
test "$(cat "$d/u/f")" = upper
test ! -e "$d/m/g"
`;

const LEFT_TO_ENGINE = 'not tried: AppArmor allows user namespaces to the engine only';

/** Where the data directory is or will be. */
export function nearestExisting(path: string): string {
  let folder = path;
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

export async function probeOverlay({ subject, dataDir }: ProbeContext): Promise<ProbeResult> {
  const { ok, fail } = verdicts({
    id: 'overlay',
    title: 'Overlay file system',
    meaning: 'layers are shared and copied only when written to (overlayfs with userxattr)',
  });
  if (await onlyEngineMay()) return ok(LEFT_TO_ENGINE);
  const wrapper = [...IN_USERNS, '--mount'];
  const place = nearestExisting(dataDir);
  const tried = await runScript(subject, wrapper, OVERLAY, [place]);
  if (tried.ok) return ok(`mounted, written and removed below ${place}`);
  const elsewhere = await runScript(subject, wrapper, OVERLAY, ['/tmp']);
  if (elsewhere.ok && existsSync(dataDir)) {
    return fail(
      `works in /tmp but not in ${place} (${tried.reason})`,
      'no sandbox can be made there',
      'WAFER_DATA=/a/folder/on/ext4/or/xfs wafer up',
    );
  }
  if (elsewhere.ok) return ok('mounted, written and removed below /tmp');
  return fail(tried.reason, 'no sandbox can be made', 'sudo modprobe overlay   (needs Linux 5.11 or later)');
}

const NETFILTER = `
ip link set lo up
ip route add local default dev lo
nft -f - <<'END'
table ip wafer {
  chain out {
    type nat hook output priority -100; policy accept;
    meta l4proto tcp redirect to :9
  }
}
END
`;

export async function probeNetFilter({ subject }: ProbeContext): Promise<ProbeResult> {
  const { ok, warn } = verdicts({
    id: 'net-filter',
    title: 'Net filter',
    meaning: 'builds reach package registries through a policy, without root or a TUN device',
  });
  const cost = 'builds have no network: functions with dependencies can not be deployed';
  const found = await runScript({ ...subject, prefix: [] }, [], 'command -v nft; command -v ip');
  if (!found.ok) return warn('nft or ip is missing', cost, 'sudo apt-get install nftables iproute2');
  if (await onlyEngineMay()) return ok(LEFT_TO_ENGINE);
  const tried = await runScript(subject, [...IN_USERNS, '--net'], NETFILTER);
  if (tried.ok) return ok('redirect rule made in a net namespace');
  return warn(tried.reason, cost, 'sudo modprobe -a nf_tables nft_redir nft_chain_nat');
}
