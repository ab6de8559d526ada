/** The setting of a version and the operator's ceiling -> the policy of its sandboxes. */
import type { EgressPolicy, EgressRule, EgressRules } from '../../../runtime/sandbox/index.ts';
import { type EgressSetting, PUBLIC, readEgressHost } from '../../core/functions/egress.ts';

/** Of a blank: everything is in place, and nothing is allowed until it is bound. */
export const NOTHING_YET: EgressPolicy = { mode: 'list', allow: [] };

/** `ceiling`: entries of `WAFER_EGRESS`. */
export function functionPolicy(setting: EgressSetting, ceiling: readonly string[]): EgressPolicy {
  const within: EgressRules = ceiling.includes(PUBLIC)
    ? { mode: 'public', also: rules(ceiling) }
    : { mode: 'list', allow: rules(ceiling) };
  return setting === PUBLIC ? { mode: 'public', within } : { mode: 'list', allow: rules(setting as string[]), within };
}

/**
 * A name is trusted, wherever it leads, when both lists have it as it is. Not behind a star: those are
 * names that a guest can make up.
 */
function rules(texts: readonly string[]): EgressRule[] {
  return texts.flatMap((text) => {
    const read = text === PUBLIC ? null : readEgressHost(text);
    if (read === null || 'problem' in read) return [];
    const { kind, host, port } = read;
    return [kind === 'name' ? { host, port, trustResolved: true } : { host, port }];
  });
}
