const PRICES = { wafer: 2, waffle: 5 };

/** The first step: checks the order and prices it. What it returns is `result` in the event of the next one. */
export async function handler(order, context) {
  const items = Object.entries(order?.items ?? {});
  const unknown = items.find(([name]) => PRICES[name] === undefined);
  if (items.length === 0 || unknown !== undefined)
    throw new NonRetryableError(`we do not sell ${unknown?.[0] ?? 'nothing'}`);
  const total = items.reduce((sum, [name, count]) => sum + PRICES[name] * count, 0);
  return { order: context.invocationId, items: order.items, card: order.card, total };
}

/** By its name: another attempt would end in the same way. */
class NonRetryableError extends Error {
  name = 'NonRetryableError';
}
