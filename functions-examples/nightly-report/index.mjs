import { readFile } from 'node:fs/promises';

const SALES = new URL('sales.csv', import.meta.url);

/** `event` is what a schedule sends: `dueAt` (epoch ms, `null` when run by hand), `timeZone`, and `data` as it was added. */
export async function handler(event, context) {
  const { dueAt, timeZone = 'UTC', data } = event ?? {};
  const until = dayOf(dueAt ?? Date.now(), timeZone);
  const rows = (await readSales()).filter(({ day }) => day < until);
  const regions = {};
  for (const { region, amount } of rows) regions[region] = (regions[region] ?? 0) + amount;
  const total = rows.reduce((sum, { amount }) => sum + amount, 0);
  console.log(`report for ${data?.to ?? 'nobody'} until ${until}: ${total} (attempt ${context.attempt})`);
  return { until, to: data?.to ?? null, sales: rows.length, total, regions };
}

/** `2026-06-02`: the day there, not here. */
const dayOf = (time, timeZone) => new Intl.DateTimeFormat('sv-SE', { timeZone }).format(time);

async function readSales() {
  const [, ...lines] = (await readFile(SALES, 'utf8')).trim().split('\n');
  return lines.map((line) => {
    const [day, region, amount] = line.split(',');
    return { day, region, amount: Number(amount) };
  });
}
