/** How much of the outside all functions of a namespace may use together. Pure, but for the clock that it is given. */

export interface MeterLimits {
  /** Open at once. */
  connections: number;
  /** Bytes in an hour, either way; null: no limit. */
  bytesPerHour: number | null;
}

export interface EgressMeter {
  /** A reason against one more connection; null: it is counted until `close`. */
  open(): string | null;
  /** A reason when there are no more bytes. */
  carry(bytes: number): string | null;
  close(): void;
  totals(): { open: number; bytes: number };
}

const HOUR_MS = 3_600_000;

/** `now`: monotonic milliseconds. */
export function createEgressMeter({ connections, bytesPerHour }: MeterLimits, now: () => number): EgressMeter {
  let open = 0;
  let bytes = 0;
  let left = bytesPerHour ?? 0;
  let filledAt = now();

  /** It fills evenly: after an hour without traffic all of it is there again. */
  const fill = () => {
    const time = now();
    left = Math.min(bytesPerHour ?? 0, left + ((time - filledAt) * (bytesPerHour ?? 0)) / HOUR_MS);
    filledAt = time;
  };
  const usedUp = () => {
    if (bytesPerHour === null || left > 0) return null;
    const mib = Math.round(bytesPerHour / 1_048_576);
    return `the functions have used up their ${mib} MiB an hour (WAFER_EGRESS_MB_PER_HOUR)`;
  };
  return {
    open() {
      if (open >= connections) return `the functions have ${connections} connections open (WAFER_EGRESS_CONNECTIONS)`;
      fill();
      const reason = usedUp();
      if (reason === null) open++;
      return reason;
    },
    carry(count) {
      bytes += count;
      fill(); // before they are taken: what was not used is never saved up
      left -= count;
      return usedUp();
    },
    close: () => void open--,
    totals: () => ({ open, bytes }),
  };
}
