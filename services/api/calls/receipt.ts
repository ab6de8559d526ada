import type { FastifyReply } from 'fastify';
import { PHASES, type Receipt } from '../../core/invocations/types.ts';

/** `queue;dur=0.12, sandbox;dur=0, ...` in milliseconds, every phase in order. */
export const serverTiming = ({ phases }: Receipt) =>
  PHASES.map((phase) => `${phase};dur=${Math.round(phases[phase] * 1000) / 1000}`).join(', ');

export const receiptHeaders = (receipt: Receipt): [string, string][] => [
  ['server-timing', serverTiming(receipt)],
  ['x-wafer-start', receipt.start],
];

export function setReceipt(reply: FastifyReply, receipt: Receipt): void {
  for (const [name, value] of receiptHeaders(receipt)) reply.header(name, value);
}
