/**
 * The zygotes of one base image, one after the other. What one makes has its layout of
 * memory and its hash secret in common, so none serves for long.
 */
import type { SandboxHost, Zygote } from '../../../runtime/sandbox/index.ts';
import { newInstanceId } from '../../core/ids.ts';
import type { ImageStore } from '../../core/images/types.ts';
import type { Log } from '../../core/log.ts';
import type { BaseImage } from '../base-images/index.ts';
import { BASE_ENV } from '../instances/plan.ts';

export interface ZygoteLine {
  /** The one that is ready, if there is one; another is made in the background where it is needed. */
  take(): Zygote | undefined;
  /** One made a program. */
  proved(): void;
  /** It did not; it ends, and the next one comes after a while. */
  giveUp(zygote: Zygote, error: unknown): void;
  close(): Promise<void>;
}

export interface ZygoteLineOptions {
  base: BaseImage;
  host: Pick<SandboxHost, 'startZygote'>;
  /** The base image's layers are kept while one lives. */
  images: Pick<ImageStore, 'lease'>;
  log: Log;
  forks: number;
}

export const ZYGOTE_PROGRAM = ['python3', '-I', '-S', '/.wafer/python/zygote.py'];

const MAX_AGE_MS = 3_600_000;
/** Without a use it costs memory for nothing. */
const IDLE_MS = 600_000;
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 300_000;

export function createZygoteLine({ base, host, images, log, forks }: ZygoteLineOptions): ZygoteLine {
  let current: Zygote | undefined;
  let starting: Promise<void> | undefined;
  let used = 0;
  let startedAt = 0;
  let failures = 0;
  let retryAt = 0;
  let idleTimer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const failed = (err: unknown) => {
    retryAt = Date.now() + Math.min(FIRST_RETRY_MS * 2 ** failures, LAST_RETRY_MS);
    if (failures++ === 0 && !isClosed)
      log.warn({ base: base.name, err }, 'no zygote; programs of Python boot meanwhile');
  };
  const adopt = async (zygote: Zygote) => {
    const before = current;
    current = zygote;
    used = 0;
    startedAt = Date.now();
    void zygote.exited.then(() => {
      if (current === zygote) current = undefined;
    });
    await before?.end();
    if (isClosed) await zygote.end();
  };
  const start = async () => {
    const lease = images.lease([base.image.digest]);
    try {
      const zygote = await host.startZygote({
        id: newInstanceId(),
        layers: base.layers,
        argv: ZYGOTE_PROGRAM,
        env: BASE_ENV,
      });
      void zygote.exited.then(() => lease.release());
      await adopt(zygote);
    } catch (error) {
      lease.release();
      failed(error);
    }
  };
  const isNeeded = () => current === undefined || used >= forks || Date.now() - startedAt > MAX_AGE_MS;
  return {
    take() {
      clearTimeout(idleTimer);
      idleTimer = setTimeout(() => void current?.end(), IDLE_MS).unref();
      if (isNeeded() && starting === undefined && Date.now() >= retryAt && !isClosed) {
        starting = start().finally(() => {
          starting = undefined;
        });
      }
      used++;
      return current;
    },
    proved() {
      failures = 0;
    },
    giveUp(zygote, error) {
      if (current === zygote) {
        current = undefined;
        failed(error);
      }
      void zygote.end();
    },
    async close() {
      isClosed = true;
      clearTimeout(idleTimer);
      await starting;
      await current?.end();
    },
  };
}
