/** What was opened, to be closed in the reverse order: what opens first closes last. */
import type { Log } from './core/log.ts';

export interface Closer {
  /** The same, to be closed in its turn. */
  keep<T extends { close(): unknown }>(opened: T): T;
  onClose(undo: () => unknown): void;
  /** Idempotent. What can not be closed is logged; what was opened before is closed all the same. Never rejects. */
  close(): Promise<void>;
}

export function createCloser(log: Log): Closer {
  const undos: (() => unknown)[] = [];
  let closing: Promise<void> | undefined;
  const closeAll = async () => {
    for (const undo of undos.reverse()) {
      try {
        await undo();
      } catch (err) {
        log.error({ err }, 'closing failed');
      }
    }
  };
  return {
    keep(opened) {
      undos.push(() => opened.close());
      return opened;
    },
    onClose: (undo) => void undos.push(undo),
    close() {
      closing ??= closeAll();
      return closing;
    },
  };
}
