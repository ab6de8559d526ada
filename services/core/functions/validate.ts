/** Settings as a user wrote them -> `ConfigFile`, with messages that name the place and the rule. */
import { Compile } from 'typebox/compile';
import { WaferError } from '../errors.ts';
import { badVolumePath, nestedPath } from '../volumes/names.ts';
import { pointerPart } from './config-text.ts';
import { egressProblems, MAX_EGRESS_RULES } from './egress.ts';
import { badFollower } from './followers.ts';
import { didYouMean } from './nearest.ts';
import { ConfigFile, RETRY_ON, RUNTIMES } from './schema.ts';
import { badSecrets } from './secret-refs.ts';

export { parseConfigText } from './config-text.ts';

/** One thing that is wrong; `path` is a JSON pointer, empty for the whole. */
export interface ConfigProblem {
  path: string;
  problem: string;
}

/** What a schema says, as far as messages need it. */
interface Rule {
  type?: string;
  anyOf?: { const?: unknown }[];
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
  items?: Rule;
  properties?: Record<string, Rule>;
  required?: string[] | undefined;
  patternProperties?: Record<string, Rule>;
}

const MAX_PROBLEMS_IN_MESSAGE = 5;
const KNOWN_KEYS = Object.keys(ConfigFile.properties);
const ENV_NAME = new RegExp(Object.keys((ConfigFile.properties.env as Rule).patternProperties ?? {})[0] ?? '');
const checker = Compile(ConfigFile);

/** Where the rule of the schema is a pattern, people get a sentence. */
const PATTERN_WORDS: Record<string, string> = {
  '/name': '1 to 63 lower-case letters, digits and dashes, beginning with a letter or digit',
  '/egress': `"none", "public", or a list of at most ${MAX_EGRESS_RULES} like ["api.example.com:443"]`,
  '/handler': 'a file without its ending, a dot and the name of an export, like "index.handler"',
};
const SECRET_WORDS =
  'the name of a secret (letters, digits, ., _ and -), maybe with a version: "db-password" or "db-password@2"';
const RETRY_WORDS = `one of ${RETRY_ON.join(', ')}, or error:NAME with the name of an error class`;

const LIST_EXAMPLES: Record<string, string> = {
  '/retries/on': '["function_timeout", "error:TypeError"]',
  '/secrets': '["db-password", "tls-key@2"]',
};

/**
 * The result shares nothing with `value` and has known keys only.
 * @throws WaferError `invalid_config | unknown_runtime`, with `details.problems` (ConfigProblem[]) and `details.path`
 */
export function validateConfig(value: unknown): ConfigFile {
  if (!isObject(value)) throw refuse([{ path: '', problem: `must be an object {...}, not ${show(value)}` }]);
  refuseUnknownRuntime(value);
  const problems = [
    ...unknownKeys(value),
    ...brokenRules(value),
    ...badText(value),
    ...badFollowers(value),
    ...badVolumes(value),
    ...badEgress(value),
  ];
  if (problems.length === 0) problems.push(...badSecrets(value));
  if (problems.length > 0) throw refuse(problems);
  return copyKnown(value as ConfigFile);
}

/** One problem a path: the rule is told whole, so that its parts need not be told again. */
function brokenRules(value: Record<string, unknown>): ConfigProblem[] {
  const found = new Map<string, ConfigProblem>();
  for (const { instancePath: path, keyword } of checker.Errors(value)) {
    const isUnknownKey = keyword === 'additionalProperties' || keyword === 'boolean';
    if (isUnknownKey || found.has(path)) continue;
    const parts = path.slice(1).split('/').map(fromPointerPart);
    const rule = ruleAt(ConfigFile as Rule, parts);
    const given = valueAt(value, parts);
    const missing =
      (keyword === 'required' && isObject(given) && rule?.required?.filter((key) => !(key in given))) || [];
    const problem = `must be ${describe(rule, path)}, not ${show(given)}`;
    if (missing.length === 0) found.set(path, { path, problem });
    for (const key of missing) found.set(`${path}/${key}`, { path: `${path}/${key}`, problem: 'is needed' });
  }
  return [...found.values()];
}

function describe(rule: Rule | undefined, path: string): string {
  const words = PATTERN_WORDS[path];
  if (words !== undefined) return words;
  if (path.startsWith('/retries/on/')) return RETRY_WORDS;
  if (/^\/volumes\/\d+\/volume$/.test(path)) return 'the name of a volume, or NAME@SNAPSHOT';
  if (path.startsWith('/egress/')) return 'text like "api.example.com:443"';
  if (path.startsWith('/secrets/') || path.startsWith('/secretEnv/')) return SECRET_WORDS;
  if (path === '/secretEnv') return 'an object from variables to secrets, like {"DB_PASSWORD": "db-password"}';
  if (rule?.anyOf !== undefined) return `one of ${rule.anyOf.map((one) => JSON.stringify(one.const)).join(', ')}`;
  if (rule?.type === 'integer') return `a whole number from ${rule.minimum} to ${rule.maximum}`;
  if (rule?.type === 'number') return `a number from ${rule.minimum} to ${rule.maximum}`;
  if (rule?.type === 'string')
    return rule.maxLength === undefined ? 'text' : `text of at most ${rule.maxLength} characters`;
  if (rule?.type === 'array' && rule.items?.properties !== undefined)
    return `a list of at most ${rule.maxItems} objects, like [{"volume": "reports", "path": "/data", "mode": "rw"}]`;
  if (rule?.type === 'array') {
    return `a list of ${rule.minItems ?? 0} to ${rule.maxItems} texts, like ${LIST_EXAMPLES[path] ?? '["node", "server.js"]'}`;
  }
  if (rule?.properties !== undefined) return `an object with some of ${Object.keys(rule.properties).join(', ')}`;
  return 'an object whose values are texts, like {"NAME": "value"}';
}

function ruleAt(root: Rule, parts: string[]): Rule | undefined {
  let rule: Rule | undefined = root;
  for (const part of parts) {
    const byPattern: Rule | undefined = Object.values(rule?.patternProperties ?? {})[0];
    rule = rule?.properties?.[part] ?? byPattern ?? rule?.items;
  }
  return rule;
}

/** At any depth where the schema names the keys. */
function unknownKeys(value: Record<string, unknown>, rule = ConfigFile as Rule, at = ''): ConfigProblem[] {
  const known = Object.keys(rule.properties ?? {});
  return Object.entries(value).flatMap(([key, inner]) => {
    const path = `${at}/${pointerPart(key.slice(0, 80))}`;
    if (!known.includes(key))
      return [{ path, problem: `is not a known setting.${didYouMean(key, known)}`.replace(/\.$/, '') }];
    const below = rule.properties?.[key];
    if (below?.items?.properties !== undefined && Array.isArray(inner)) {
      const { items } = below;
      return inner.flatMap((one: unknown, index) => (isObject(one) ? unknownKeys(one, items, `${path}/${index}`) : []));
    }
    return below?.properties !== undefined && isObject(inner) ? unknownKeys(inner, below, path) : [];
  });
}

/** What the pattern of a path does not say, and what takes more than one volume. */
function badVolumes({ volumes }: Record<string, unknown>): ConfigProblem[] {
  if (!Array.isArray(volumes)) return [];
  const paths = volumes.map((one: unknown) => (isObject(one) && typeof one['path'] === 'string' ? one['path'] : ''));
  const problems = paths.flatMap((path, at) => {
    const problem = path === '' ? null : badVolumePath(path);
    return problem === null ? [] : [{ path: `/volumes/${at}/path`, problem }];
  });
  const nested = nestedPath(paths.filter((path) => path !== ''));
  if (nested !== undefined && problems.length === 0)
    problems.push({ path: `/volumes/${paths.indexOf(nested)}/path`, problem: 'lies in that of another volume' });
  const modes = volumes.map((one: unknown) => (isObject(one) ? one['mode'] : undefined));
  if (modes.filter((mode) => mode === 'tx').length > 1)
    problems.push({
      path: '/volumes',
      problem: 'may have one volume of mode "tx": two can not be committed in one step',
    });
  const written = volumes.findIndex(
    (one: unknown) => isObject(one) && String(one['volume']).includes('@') && one['mode'] !== 'ro',
  );
  if (written >= 0)
    problems.push({ path: `/volumes/${written}/mode`, problem: 'must be "ro" for a snapshot, which never changes' });
  return problems;
}

function badFollowers({ onSuccess, onFailure }: Record<string, unknown>): ConfigProblem[] {
  return Object.entries({ onSuccess, onFailure }).flatMap(([key, text]) => {
    const problem = typeof text === 'string' && text !== '' ? badFollower(text) : null;
    return problem === null ? [] : [{ path: `/${key}`, problem }];
  });
}

const badEgress = ({ egress }: Record<string, unknown>): ConfigProblem[] =>
  egressProblems(egress).map(({ index, problem }) => ({ path: `/egress/${index}`, problem }));

/** What no schema says: names of variables, and bytes that no program can be given. */
function badText(value: Record<string, unknown>): ConfigProblem[] {
  const { env, secretEnv, command } = value;
  const problems: ConfigProblem[] = [];
  const refuseNul = (path: string, text: unknown) => {
    if (typeof text === 'string' && text.includes('\0'))
      problems.push({ path, problem: 'must not hold a NUL character' });
  };
  for (const [key, variables] of Object.entries({ env, secretEnv })) {
    for (const [name, text] of isObject(variables) ? Object.entries(variables) : []) {
      const path = `/${key}/${pointerPart(name.slice(0, 80))}`;
      if (!ENV_NAME.test(name) || name === '__proto__') {
        problems.push({
          path,
          problem: 'is not a name for a variable: letters, digits and _, not beginning with a digit',
        });
      }
      refuseNul(path, text);
    }
  }
  for (const [index, text] of Array.isArray(command) ? command.entries() : []) refuseNul(`/command/${index}`, text);
  return problems;
}

function refuseUnknownRuntime({ runtime }: Record<string, unknown>): void {
  if (typeof runtime !== 'string' || RUNTIMES.some((known) => known === runtime)) return;
  const message = `/runtime: "${runtime.slice(0, 80)}" is not a known runtime.${didYouMean(runtime, RUNTIMES)}`;
  throw new WaferError('unknown_runtime', message, {
    hint: `The runtimes are ${RUNTIMES.join(', ')}.`,
    details: { path: '/runtime', known: [...RUNTIMES] },
  });
}

/** Also for rules that need more than one setting; see defaults.ts. */
export function refuse(problems: ConfigProblem[]): WaferError {
  const lines = problems.slice(0, MAX_PROBLEMS_IN_MESSAGE).map(({ path, problem }) => `${path || '/'}: ${problem}`);
  const more = problems.length - lines.length;
  const message = `${lines.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
  return new WaferError('invalid_config', /[.?]$/.test(message) ? message : `${message}.`, {
    details: { path: problems[0]?.path ?? '', problems: problems.slice(0, 50) },
  });
}

function copyKnown(value: ConfigFile): ConfigFile {
  const entries = Object.entries(value).filter(([key]) => KNOWN_KEYS.includes(key));
  return structuredClone(Object.fromEntries(entries)) as ConfigFile;
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (isObject(value)) return 'an object';
  if (typeof value !== 'string') return String(value);
  const text = JSON.stringify(value.slice(0, 60));
  const isNumber = value.trim() !== '' && Number.isFinite(Number(value));
  return isNumber ? `the text ${text} (leave the quotes away)` : text;
}

function valueAt(value: unknown, parts: string[]): unknown {
  let found: unknown = value;
  for (const part of parts) found = isObject(found) || Array.isArray(found) ? Reflect.get(found, part) : undefined;
  return found;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const fromPointerPart = (part: string) => part.replaceAll('~1', '/').replaceAll('~0', '~');
