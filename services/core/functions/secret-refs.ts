/** How settings name secrets: `NAME` is the newest version, which the function follows; `NAME@3` is a fixed one. */
import { pointerPart } from './config-text.ts';

export const SECRET_NAME = '[A-Za-z0-9][A-Za-z0-9._-]{0,63}';
export const SECRET_REF_PATTERN = `^${SECRET_NAME}(@[1-9][0-9]{0,8})?$`;
export const MAX_SECRET_REFS = 32;

export interface SecretRef {
  name: string;
  /** Undefined: the newest. */
  version?: number;
}

/** What a function gets, as a version keeps it. Only names, never values. */
export interface SecretSettings {
  /** Each is a file of its name in `/run/secrets`. */
  secrets?: string[];
  /** Variable -> secret. */
  secretEnv?: Record<string, string>;
}

/** Of a text that the schema let pass. */
export function parseSecretRef(text: string): SecretRef {
  const [name = '', version] = text.split('@');
  return version === undefined ? { name } : { name, version: Number(version) };
}

/** With the place of each in wafer.json. */
export function secretRefs({ secrets = [], secretEnv = {} }: SecretSettings): { path: string; ref: SecretRef }[] {
  return [
    ...secrets.map((text, index) => ({ path: `/secrets/${index}`, ref: parseSecretRef(text) })),
    ...Object.entries(secretEnv).map(([variable, text]) => ({
      path: `/secretEnv/${pointerPart(variable)}`,
      ref: parseSecretRef(text),
    })),
  ];
}

export const usesSecrets = ({ secrets = [], secretEnv = {} }: SecretSettings): boolean =>
  secrets.length > 0 || Object.keys(secretEnv).length > 0;

/** Rules between the settings; each text alone is the schema's. */
export function badSecrets({ secrets, secretEnv, env }: Record<string, unknown>): { path: string; problem: string }[] {
  const problems: { path: string; problem: string }[] = [];
  const seen = new Set<string>();
  for (const [index, text] of Array.isArray(secrets) ? secrets.entries() : []) {
    const { name } = parseSecretRef(String(text));
    if (seen.has(name)) problems.push({ path: `/secrets/${index}`, problem: `is there twice: ${name} is one file` });
    seen.add(name);
  }
  const variables = isObject(secretEnv) ? Object.keys(secretEnv) : [];
  if (variables.length > MAX_SECRET_REFS)
    problems.push({ path: '/secretEnv', problem: `must have at most ${MAX_SECRET_REFS} variables` });
  for (const variable of variables.filter((name) => isObject(env) && Object.hasOwn(env, name)))
    problems.push({ path: `/secretEnv/${pointerPart(variable)}`, problem: 'is set in env, too' });
  return problems;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
