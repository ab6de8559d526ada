import { command } from '../command.ts';
import { renderSchema } from '../schema-file.ts';

export default command({
  name: 'schema',
  about: 'Prints the JSON schema of wafer.json, for editors and other tools.',
  args: {},
  examples: [['wafer schema > wafer.schema.json', "bring a folder's copy up to date"]],
  run: async (_args, { ui }) => {
    await ui.raw(renderSchema());
  },
});
