/** `--change` of import and commit: single instructions that change a config. */
import { applyMetadata, type RunConfig } from './metadata.ts';
import { parseOne } from './parse.ts';
import { type Keyword, refuse } from './types.ts';

const ALLOWED: readonly Keyword[] = [
  'CMD',
  'ENTRYPOINT',
  'ENV',
  'EXPOSE',
  'HEALTHCHECK',
  'LABEL',
  'ONBUILD',
  'SHELL',
  'STOPSIGNAL',
  'USER',
  'VOLUME',
  'WORKDIR',
];

/** @throws WaferError `invalid_dockerfile`, with `--change 2` as the file */
export function applyChanges(config: RunConfig, changes: readonly string[]): RunConfig {
  let state = { config, author: undefined as string | undefined, hasOwnCmd: false };
  for (const [index, text] of changes.entries()) {
    const instruction = parseOne(text, `--change ${index + 1}`);
    if (!ALLOWED.includes(instruction.keyword))
      throw refuse(instruction, 'it does not change a config.', `What does: ${ALLOWED.join(', ')}.`);
    const env = state.config.Env ?? [];
    const scope = (name: string) => env.findLast((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
    state = { ...state, ...applyMetadata(state, { instruction, scope, mark: '\\' }) };
  }
  return state.config;
}
