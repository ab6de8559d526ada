import { WaferError } from '../../../core/errors.ts';
import { command, jsonFlag } from '../../command.ts';
import { count } from '../../format.ts';
import { createImageClient } from '../../image-client.ts';

function readLimit(text: string | undefined): { limit?: number } {
  if (text === undefined) return {};
  if (/^[1-9][0-9]{0,3}$/.test(text)) return { limit: Number(text) };
  throw new WaferError('usage', `--limit ${text.slice(0, 20)} is not a number from 1 to 9999.`);
}

export default command({
  name: 'image search',
  about:
    'Finds repositories of a registry by a part of their name, where the registry offers a list. Without --registry the default one is asked (WAFER_DEFAULT_REGISTRY).',
  args: {
    term: { type: 'positional', description: 'Part of the name; without it all are listed', required: false },
    registry: { type: 'string', alias: 'r', valueHint: 'HOST', description: 'Registry: host or host:port' },
    limit: { type: 'string', alias: 'n', valueHint: 'N', description: 'Names at most; default 100' },
    ...jsonFlag,
  },
  examples: [
    ['wafer image search app --registry registry.example:5000', 'names with "app" in them'],
    ['wafer image search', 'everything of the default registry'],
  ],
  run: async ({ term, registry, limit, json }, { ui, env }) => {
    const options = { ...readLimit(limit), ...(registry === undefined ? {} : { registry }) };
    const found = await createImageClient(env).search(term ?? '', options);
    if (json) return ui.json(found);
    for (const name of found.repositories) ui.out(`${ui.paint('dim', `${found.registry}/`)}${ui.paint('bold', name)}`);
    if (found.repositories.length === 0)
      ui.err(`${found.registry} has no repository with ${JSON.stringify(term ?? '')} in its name.`);
    if (found.isCut) ui.err(`These are the first ${count(found.repositories.length, 'name')}; --limit shows more.`);
  },
});
