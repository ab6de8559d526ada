import { mkdir, rename, writeFile } from 'node:fs/promises';

const WIDTH = 640;
const HEIGHT = 360;

/** A bar chart as an SVG. */
function chart(title, rows) {
  const most = Math.max(...rows.map(({ amount }) => amount), 1);
  const step = WIDTH / rows.length;
  const bars = rows.map(({ label, amount }, at) => {
    const height = Math.round((amount / most) * (HEIGHT - 80));
    const x = Math.round(at * step + step * 0.15);
    const y = HEIGHT - 40 - height;
    return `<rect x="${x}" y="${y}" width="${Math.round(step * 0.7)}" height="${height}" fill="#3b6ea5"/>
<text x="${Math.round(at * step + step / 2)}" y="${HEIGHT - 16}" text-anchor="middle">${escaped(label)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="14">
<text x="${WIDTH / 2}" y="24" text-anchor="middle" font-size="18">${escaped(title)}</text>
${bars.join('\n')}
</svg>
`;
}

const escaped = (text) => String(text).replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
const csv = (rows) =>
  ['label,amount', ...rows.map(({ label, amount }) => `"${String(label).replaceAll('"', '""')}",${amount}`)].join('\n');

/** Whoever reads meanwhile has the old file or the new one. */
async function put(path, text) {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

export async function handler({ title = 'Sales', rows = [] }, context) {
  if (rows.length === 0) throw new Error('"rows" is empty: send [{"label": "Mon", "amount": 3}]');
  const dir = `/data/${title.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`;
  await mkdir(dir, { recursive: true });
  await put(`${dir}/chart.svg`, chart(title, rows));
  await put(`${dir}/data.csv`, `${csv(rows)}\n`);
  return {
    files: [`${dir}/chart.svg`, `${dir}/data.csv`].map((path) => path.slice('/data'.length)),
    by: context.invocationId,
  };
}
