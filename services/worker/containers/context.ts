/** What the parts of the container service are given. */
import type { EgressPolicy, SandboxHost } from '../../../runtime/sandbox/index.ts';
import type { AccountFiles } from '../../core/images/dockerfile/accounts.ts';
import type { LayerIndexes } from '../../core/images/dockerfile/layer-index.ts';
import type { ImageNames } from '../../core/images/reserved.ts';
import type { Image, ImageStore } from '../../core/images/types.ts';
import type { Log } from '../../core/log.ts';
import type { Shelf } from './shelf.ts';

export interface Context {
  host: SandboxHost;
  images: ImageStore;
  indexes: LayerIndexes;
  shelf: Shelf;
  log: Log;
  egress: EgressPolicy & { mode: 'public' };
  /** Aborts when the platform stops: nothing is started any more. */
  closing: AbortSignal;
  names: ImageNames;
  /** Directory (0700) for spools. */
  tmpDir: string;
}

const ROOT: readonly (string | undefined)[] = [undefined, '', '0', 'root', '0:0', 'root:root'];

/** The image's own passwd and group files, for `user`. Of root they need not be read, which takes a while for a large image. */
export async function accountsOf(
  { indexes }: Pick<Context, 'indexes'>,
  { layers }: Image,
  user: string | undefined,
): Promise<AccountFiles> {
  if (ROOT.includes(user)) return { passwd: 'root:x:0:0::/root:', group: 'root:x:0:' };
  const [passwd, group] = await Promise.all([
    indexes.account(layers, 'etc/passwd'),
    indexes.account(layers, 'etc/group'),
  ]);
  return { passwd, group };
}
