/** The log of one instance, within its meter. What is lost leaves a mark, in the log of the call that lost it. */
import type { LogSink } from '../../core/invocations/types.ts';
import { MASK_NONE, type Mask } from '../secrets/mask.ts';
import type { LineSink, Origin } from './lines.ts';
import { createOutputMeter } from './meter.ts';

export interface MeteredLog extends LineSink {
  /** A line of the platform about this instance; not metered. */
  tell(text: string, invocationId?: string): void;
  /** Tells of lost lines that nobody was told of yet. */
  flush(): void;
}

export function createMeteredLog(origin: Origin, logs: LogSink, mask: Mask = MASK_NONE): MeteredLog {
  let loser: string | undefined;
  const tell = (text: string, invocationId?: string) =>
    logs.write({
      time: Date.now(),
      ...origin,
      ...(invocationId === undefined ? {} : { invocationId }),
      stream: 'platform',
      text,
    });
  const meter = createOutputMeter({
    now: () => performance.now(),
    onDropped: (bytes) => tell(`${bytes} bytes of output dropped: too many lines or bytes in a short time`, loser),
  });
  return {
    tell,
    flush: meter.flush,
    isShut: meter.isShut,
    drop(bytes, invocationId) {
      loser = invocationId ?? loser;
      meter.drop(bytes);
    },
    write(line) {
      if (meter.take(line.text.length))
        return logs.write(mask === MASK_NONE ? line : { ...line, text: mask(line.text) });
      loser = line.invocationId ?? loser;
    },
  };
}
