import { switchCommand } from './switch.ts';

export default switchCommand(
  'enable',
  'Takes deliveries again. What was refused meanwhile is the business of its sender.',
  'from now on',
);
