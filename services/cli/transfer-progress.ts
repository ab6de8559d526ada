/** A pull, push or load for a person: on a terminal a bar for each layer, elsewhere a line when one ends. */
import { WaferError } from '../core/errors.ts';
import type { TransferEvent, TransferState } from '../core/images/progress.ts';
import { problemError } from './client.ts';
import { formatBytes, shortDigest } from './format.ts';
import type { TransferLine } from './image-client.ts';
import type { Ui } from './ui.ts';

const BAR = 24;
/** More bars than this would scroll. */
const MAX_BARS = 12;

const WORDS: Record<TransferState, string> = {
  exists: 'there already',
  fetching: 'reading',
  unpacking: 'unpacking',
  done: 'done',
  sending: 'sending',
  mounted: 'mounted from another repository',
};
const ENDS: readonly TransferState[] = ['exists', 'done', 'mounted'];

function bar({ state, bytes, total }: TransferEvent): string {
  const part = ENDS.includes(state) ? 1 : Math.min(1, total === 0 ? 1 : bytes / total);
  const filled = Math.round(part * BAR);
  return `${'█'.repeat(filled)}${'░'.repeat(BAR - filled)}`;
}

const sizes = ({ state, bytes, total }: TransferEvent) =>
  state === 'fetching' || state === 'sending' ? `${formatBytes(bytes)} of ${formatBytes(total)}` : formatBytes(total);

/** On a terminal a bar for each layer, elsewhere a line when one ends. */
export function createBars(ui: Ui) {
  const layers = new Map<string, TransferEvent>();
  const live = ui.live();
  return {
    event(event: TransferEvent) {
      const before = layers.get(event.digest)?.state;
      layers.set(event.digest, event);
      const rows = [...layers.values()].slice(-MAX_BARS);
      live.draw(
        rows.map(
          (row) => `  ${shortDigest(row.digest)} ${ui.paintErr('cyan', bar(row))} ${sizes(row)}  ${WORDS[row.state]}`,
        ),
      );
      if (ui.stderrIsTty || !ENDS.includes(event.state) || before === event.state) return;
      ui.err(`  ${shortDigest(event.digest)} ${WORDS[event.state]} (${formatBytes(event.total)})`);
    },
    clear: () => live.clear(),
  };
}

/** Shows the lines until the last one. @throws WaferError when it says that the transfer failed */
export async function showTransfer<T>(lines: AsyncGenerator<TransferLine<T>>, ui: Ui, url: string): Promise<T> {
  const bars = createBars(ui);
  try {
    for await (const line of lines) {
      if (line.type === 'layer') bars.event(line);
      else if (line.type === 'done') return line.result;
      else throw problemError(line.problem);
    }
  } finally {
    bars.clear();
  }
  throw new WaferError('not_reachable', `The connection to ${url} ended before the transfer did.`, {
    hint: 'Run it again: it goes on with the layers that are there.',
  });
}
