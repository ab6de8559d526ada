/** Series whose values are read when they are asked for. */
import { Counter, Gauge, type Registry } from 'prom-client';

export interface SeriesText {
  name: string;
  help: string;
}

type Read<T> = () => T | undefined | Promise<T | undefined>;
type ByLabel = Partial<Record<string, number>>;

export interface SeriesOf {
  gauge(text: SeriesText, read: Read<number>): void;
  /** The values of the label are the reading's keys: what reads must have a bounded set of them. */
  gaugeBy(label: string, text: SeriesText, read: Read<ByLabel>): void;
  /** As `gaugeBy`, of what only grows. */
  counterBy(label: string, text: SeriesText, read: Read<ByLabel>): void;
}

/** A part that is down must not take the metrics of all others with it: its series are absent, which can be alerted on. */
export function seriesIn(registry: Registry): SeriesOf {
  const registers = [registry];
  return {
    gauge(text, read) {
      new Gauge({
        ...text,
        registers,
        async collect() {
          const value = await settled(read);
          if (value === undefined) this.remove();
          else this.set(value);
        },
      });
    },
    gaugeBy(label, text, read) {
      new Gauge({
        ...text,
        labelNames: [label],
        registers,
        async collect() {
          const values = await settled(read);
          this.reset();
          for (const [key, value = 0] of Object.entries(values ?? {})) this.set({ [label]: key }, value);
        },
      });
    },
    counterBy(label, text, read) {
      new Counter({
        ...text,
        labelNames: [label],
        registers,
        async collect() {
          const values = await settled(read);
          this.reset();
          for (const [key, value = 0] of Object.entries(values ?? {})) this.inc({ [label]: key }, value);
        },
      });
    },
  };
}

/** What several series of a scrape take their values from is read once for them; it may be a walk over a disk. */
export function oncePerScrape<T>(read: () => Promise<T>): () => Promise<T> {
  let current: Promise<T> | null = null;
  return () => {
    current ??= read().finally(() => {
      current = null;
    });
    return current;
  };
}

async function settled<T>(read: Read<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch {
    return undefined;
  }
}
