/** A bank that is busy the first time. It must not charge twice: the order is what a payment is known by. */
export async function handler({ result: order }, { attempt }) {
  if (order.card === 'stolen') throw Object.assign(new Error('the card was refused'), { name: 'NonRetryableError' });
  if (order.card === 'slow' && attempt === 1) throw new Error('the bank is busy');
  console.log(`charged ${order.total} for ${order.order}`);
  return { ...order, payment: `pay_${order.order.slice(4)}` };
}
