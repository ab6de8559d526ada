export async function handler({ result: order }) {
  return { order: order.order, payment: order.payment, parcel: Object.keys(order.items) };
}
