/** Before a version is kept: its egress under what the operator allows. */
import { aboveCeiling, storedEgress } from './egress.ts';
import type { ConfigFile } from './schema.ts';
import { refuse } from './validate.ts';

/** @throws WaferError `invalid_config` */
export function assertEgress(file: { egress?: ConfigFile['egress'] }, ceiling: readonly string[]): void {
  const { egress } = storedEgress(file.egress);
  const found = egress === undefined ? null : aboveCeiling(egress, ceiling);
  if (found === null) return;
  throw refuse([{ path: found.index < 0 ? '/egress' : `/egress/${found.index}`, problem: found.problem }]);
}
