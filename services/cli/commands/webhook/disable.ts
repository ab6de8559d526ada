import { switchCommand } from './switch.ts';

export default switchCommand(
  'disable',
  'Takes no more deliveries: senders get 403. What came before stays, and can be delivered again.',
  'until "wafer webhook enable pushes"',
);
