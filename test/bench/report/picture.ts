/** The picture of a run: a bar for each figure with a target, as long as its share of what the target allows. */
import type { JudgedFigure, Results } from './results.ts';
import { mark } from './table.ts';

const WIDTH = 920;
const TEXT_WIDTH = 500;
const BAR_WIDTH = 300;
const ROW_HEIGHT = 24;
const TOP = 76;
/** Where the bars end: twice what the target allows. */
const MOST = 2;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 17px; font-weight: 600; }
  .quiet { fill: #59636e; font-size: 12px; }
  .reached { fill: #2da44e; }
  .missed { fill: #d1242f; }
  .target { stroke: #1f2328; stroke-dasharray: 3 3; }
  .back { fill: #ffffff; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .quiet { fill: #9198a1; }
    .reached { fill: #3fb950; }
    .missed { fill: #f85149; }
    .target { stroke: #e6edf3; }
    .back { fill: #0d1117; }
  }`;

interface Bar {
  label: string;
  figure: JudgedFigure & { target: NonNullable<JudgedFigure['target']> };
}

const barsOf = ({ rows }: Results): Bar[] =>
  rows.flatMap(({ what, figures }) =>
    figures.flatMap((figure) => {
      const { target } = figure;
      return target === null ? [] : [{ label: `${what} · ${figure.what}`, figure: { ...figure, target } }];
    }),
  );

/** 1 is just reached; less is better, whichever way the target goes. */
export const shareOf = ({ value, target }: Bar['figure']): number =>
  target.op === '>=' ? target.value / value : value / target.value;

export function toPicture(results: Results): string {
  const bars = barsOf(results);
  const absent = results.rows.filter(({ missing }) => missing !== undefined);
  const height = TOP + (bars.length + absent.length) * ROW_HEIGHT + 16;
  const reached = bars.filter(({ figure }) => figure.reached === true).length;
  const { host, at } = results;
  const title = `Wafer beside its references: ${reached} of ${bars.length} figures reached`;
  const about = `${host.cores} cores, Linux ${host.kernel}, load ${host.load.before.toFixed(2)} before the run, ${at.slice(0, 10)}${results.quick ? ', a quick run' : ''}`;
  const line = TEXT_WIDTH + BAR_WIDTH / MOST;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title desc">`,
    `<title id="title">${toEntities(title)}</title>`,
    `<desc id="desc">${toEntities(bars.map(describe).join('; '))}</desc>`,
    `<style>${STYLE}</style>`,
    `<rect class="back" width="${WIDTH}" height="${height}" rx="6"/>`,
    text(16, 28, title, 'title'),
    text(16, 48, `${about}. A bar is the share of what the target allows.`, 'quiet'),
    text(line, TOP - 10, 'target', 'quiet', 'middle'),
    ...bars.flatMap(toBar),
    ...absent.map(({ what, missing }, at) =>
      text(16, TOP + (bars.length + at) * ROW_HEIGHT + 16, short(`${what}: ${missing?.kind}`, 120), 'quiet'),
    ),
    `<line class="target" x1="${line}" x2="${line}" y1="${TOP - 4}" y2="${TOP + bars.length * ROW_HEIGHT}"/>`,
    '</svg>\n',
  ].join('\n');
}

function toBar({ label, figure }: Bar, at: number): string[] {
  const y = TOP + at * ROW_HEIGHT;
  const share = Math.min(MOST, Math.max(0, shareOf(figure)));
  const width = Math.max(1, (share / MOST) * BAR_WIDTH);
  const kind = figure.reached === true ? 'reached' : 'missed';
  return [
    text(16, y + 16, short(label, 76)),
    `<rect class="${kind}" x="${TEXT_WIDTH}" y="${y + 5}" width="${width.toFixed(1)}" height="${ROW_HEIGHT - 9}" rx="2"/>`,
    text(TEXT_WIDTH + BAR_WIDTH + 10, y + 16, valueText(figure)),
  ];
}

const valueText = ({ value, target, ...figure }: Bar['figure']): string =>
  `${mark({ ...figure, value, target })} ${brief(value)} (${target.op} ${brief(target.value)})`;

const brief = (value: number): string =>
  Math.abs(value) >= 1000 ? `${(value / 1000).toFixed(0)}k` : String(Number(value.toPrecision(3)));

const describe = ({ label, figure }: Bar): string =>
  `${label}: ${brief(figure.value)}, to reach ${figure.target.op} ${brief(figure.target.value)}, ${figure.reached === true ? 'reached' : 'not reached'}`;

const short = (label: string, most: number): string => (label.length <= most ? label : `${label.slice(0, most - 1)}…`);

function text(x: number, y: number, content: string, kind = '', anchor = ''): string {
  const attributes = `${kind === '' ? '' : ` class="${kind}"`}${anchor === '' ? '' : ` text-anchor="${anchor}"`}`;
  return `<text x="${x}" y="${y}"${attributes}>${toEntities(content)}</text>`;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const toEntities = (content: string): string => content.replace(/[&<>"]/g, (one) => ENTITIES[one] ?? one);
