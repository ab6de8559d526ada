import { WaferError } from '../../core/errors.ts';
import { command } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { containerArgument } from '../containers/arguments.ts';
import { detachFlag, needsTerminal } from '../containers/attached.ts';
import { programExit } from '../containers/exit-codes.ts';
import { readFlag, readPair } from '../containers/parse.ts';
import { repeated } from '../repeated.ts';
import { parseDetachKeys } from '../session/detach-keys.ts';
import { runSession } from '../session/run-session.ts';
import { terminalSize } from '../session/terminal.ts';

/** Of a program whose terminal is not one here: what an old screen had. */
const DEFAULT_SIZE = { rows: 24, columns: 80 };

export default command({
  name: 'exec',
  about:
    'Runs another program in a running container. Its exit code is the exit code; 125, 126 and 127 as with run. Where it has no terminal, ctrl-C leaves it.',
  args: {
    ...containerArgument,
    interactive: { type: 'boolean', alias: 'i', description: 'Pass stdin on' },
    tty: { type: 'boolean', alias: 't', description: 'Give it a terminal' },
    env: { type: 'string', alias: 'e', valueHint: 'NAME=VALUE', description: 'Environment; may be repeated' },
    workdir: { type: 'string', alias: 'w', valueHint: 'PATH', description: 'Working directory inside' },
    user: { type: 'string', alias: 'u', valueHint: 'NAME|UID[:GROUP]', description: 'User inside' },
    ...detachFlag,
  },
  rest: { after: 1, label: 'COMMAND...', about: 'Program and arguments, flags of its own' },
  examples: [
    ['wafer exec -it web sh', 'a shell beside the server'],
    ['wafer exec -u 0 web cat /etc/shadow', 'as another user'],
    ['wafer exec -i db psql < dump.sql', 'a pipe into a program'],
  ],
  errorExit: programExit,
  run: async (flags, { env, rawArgs, rest }) => {
    const [program] = rest;
    if (program === undefined)
      throw new WaferError('usage', 'There is no program to run.', { hint: `wafer exec ${flags.container} ls /` });
    const terminal = flags.tty === true;
    const stdin = flags.interactive === true;
    if (terminal && stdin) needsTerminal('exec');
    const pairs = repeated(rawArgs, ['--env', '-e']).map((text) => readFlag('--env', () => readPair(text, env)));
    const session = await createContainerClient(env).exec(flags.container, {
      argv: [...rest],
      env: Object.fromEntries(pairs.filter((pair) => pair !== null)),
      ...(flags.workdir === undefined ? {} : { workingDir: flags.workdir }),
      ...(flags.user === undefined ? {} : { user: flags.user }),
      stdin,
      terminal: terminal ? (terminalSize(process.stdout) ?? DEFAULT_SIZE) : null,
    });
    const detachKeys = parseDetachKeys(flags['detach-keys']);
    return (await runSession(session, { stdin, terminal, detachKeys, forward: null })).code;
  },
});
