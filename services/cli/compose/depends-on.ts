import { checkKeys } from './keys.ts';
import { refuse } from './places.ts';
import { CONDITIONS, type ComposeService, type Condition, type Dependency } from './types.ts';
import { asBoolean, asMap, asText, wrongKind } from './values.ts';
import type { Value } from './yaml-tree.ts';

/** A list of names, or a map of names and conditions. */
export function readDependsOn(value: Value): Dependency[] {
  if (value.kind === 'null') return [];
  if (value.kind === 'list') {
    return value.items.map((item) => ({
      service: asText('depends_on', item),
      condition: 'service_started',
      required: true,
      at: item.at,
    }));
  }
  if (value.kind !== 'map') throw wrongKind('depends_on', 'a list or a map', value);
  return [...value.entries].map(([service, entry]) => readOne(service, entry.value, entry.at));
}

function readOne(service: string, value: Value, at: Dependency['at']): Dependency {
  const map = asMap(`depends_on.${service}`, value);
  checkKeys(map, 'depends_on', ['condition', 'required']);
  const required = map.entries.get('required')?.value;
  const condition = map.entries.get('condition')?.value;
  return {
    service,
    condition: condition === undefined ? 'service_started' : readCondition(condition),
    required: required === undefined || asBoolean('required', required),
    at,
  };
}

function readCondition(value: Value): Condition {
  const text = asText('condition', value);
  const known = CONDITIONS.find((one) => one === text);
  if (known !== undefined) return known;
  throw refuse(value.at, `the condition "${text}" is not one of ${CONDITIONS.join(', ')}.`);
}

/**
 * Services in an order in which each comes after those it depends on; in the file's order where that leaves a choice.
 * @throws WaferError `usage` for a cycle and for a service that is not there
 */
export function startOrder(services: ReadonlyMap<string, ComposeService>): ComposeService[] {
  const order: ComposeService[] = [];
  const done = new Set<string>();
  const visit = (service: ComposeService, above: readonly string[]) => {
    if (done.has(service.name)) return;
    for (const { service: name, required, at } of service.dependsOn) {
      const next = services.get(name);
      if (next === undefined && !required) continue;
      if (next === undefined) throw refuse(at, `"${service.name}" depends on "${name}", which is not in the file.`);
      const chain = [...above, service.name];
      const begin = chain.indexOf(name);
      if (begin !== -1) throw refuse(at, `services wait for each other: ${[...chain.slice(begin), name].join(' → ')}.`);
      visit(next, chain);
    }
    done.add(service.name);
    order.push(service);
  };
  for (const service of services.values()) visit(service, []);
  return order;
}

/** The services of these names, and all that they depend on. Without names, all. */
export function withDependencies(
  services: ReadonlyMap<string, ComposeService>,
  names: readonly string[],
): Map<string, ComposeService> {
  if (names.length === 0) return new Map(services);
  const wanted = new Set<string>();
  const add = (name: string) => {
    const service = services.get(name);
    if (service === undefined || wanted.has(name)) return;
    wanted.add(name);
    for (const { service: next } of service.dependsOn) add(next);
  };
  for (const name of names) add(name);
  return new Map([...services].filter(([name]) => wanted.has(name)));
}
