import { text } from 'node:stream/consumers';
import { WaferError } from '../../../core/errors.ts';
import { ask } from '../../ask.ts';
import { command } from '../../command.ts';
import { createImageClient } from '../../image-client.ts';
import { registryArgument } from './arguments.ts';

function assertTerminal(hint: string): void {
  if (process.stdin.isTTY !== true) throw new WaferError('usage', 'Nobody can be asked for the password.', { hint });
}

export default command({
  name: 'image login',
  about:
    'Gives the platform a name and a password (or token) for a registry. They are tried, then kept in registries.json (0600) in its data directory.',
  args: {
    ...registryArgument,
    username: { type: 'string', alias: 'u', valueHint: 'NAME', description: 'Name; asked for when missing' },
    'password-stdin': { type: 'boolean', description: 'Read the password from stdin' },
  },
  examples: [
    ['wafer image login registry.example', 'asks for both'],
    ['wafer image login registry.example -u ada --password-stdin < token', 'for scripts'],
  ],
  run: async ({ registry, username, 'password-stdin': fromStdin }, { ui, env }) => {
    if (fromStdin && username === undefined) throw new WaferError('usage', '--password-stdin needs --username.');
    if (!fromStdin) assertTerminal('Use --username and --password-stdin.');
    const name = username ?? (await ask('Name: ', false));
    const password = fromStdin ? (await text(process.stdin)).replace(/\r?\n$/, '') : await ask('Password: ', true);
    if (name === '' || password === '') throw new WaferError('usage', 'The name and the password must not be empty.');
    await createImageClient(env).login(registry, name, password);
    ui.out(`${ui.paint('green', '✓')} ${registry} takes ${name}.`);
  },
});
