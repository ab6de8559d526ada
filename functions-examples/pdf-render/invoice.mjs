const plain = (value) => String(value).replace(/[&<>"]/g, (one) => `&#${one.codePointAt(0)};`);
const line = (x, y, value, more = '') => `<text x="${x}" y="${y}" ${more}>${plain(value)}</text>`;

/** One A4 page as SVG. @throws Error for what is no list of items */
export function drawInvoice({ number = 1, to = '', items = [] }) {
  if (!Array.isArray(items) || items.length > 30) throw new Error('items: must be a list of at most 30');
  const total = items.reduce((sum, { price = 0, count = 1 }) => sum + price * count, 0);
  const rows = items.flatMap(({ name = '', price = 0, count = 1 }, at) => [
    line(60, 200 + at * 20, name),
    line(535, 200 + at * 20, `${count} x ${price.toFixed(2)}`, 'text-anchor="end"'),
  ]);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="595" height="842" font-family="DejaVu Sans" font-size="12">
${line(60, 90, `Invoice ${number}`, 'font-size="28"')}
${line(60, 130, to)}
${rows.join('\n')}
${line(535, 220 + items.length * 20, `Total ${total.toFixed(2)}`, 'text-anchor="end" font-weight="bold"')}
</svg>`;
}
