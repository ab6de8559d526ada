import { command } from '../../command.ts';
import { findContainers, projectFlags, servicesArgument } from '../../compose/arguments.ts';
import { followService } from '../../compose/follow.ts';
import { mergedLogs } from '../../compose/merged-logs.ts';
import { createServiceOutput } from '../../compose/output.ts';
import { untilInterrupted } from '../../interrupt.ts';
import { parseCount, parseDuration } from '../../numbers.ts';

export default command({
  name: 'compose logs',
  about: 'Prints what the services wrote, by time. Ctrl-C stops following.',
  args: {
    ...servicesArgument,
    follow: { type: 'boolean', alias: 'f', description: 'Go on with new lines as they come' },
    since: { type: 'string', valueHint: 'SPAN', description: 'Only the last 30s, 10m, 2h, 1d' },
    tail: {
      type: 'string',
      alias: 'n',
      valueHint: 'LINES',
      description: 'Of each service, at most so many of the newest',
    },
    'no-log-prefix': { type: 'boolean', description: "Without the services' names" },
    ...projectFlags,
  },
  many: true,
  examples: [
    ['wafer compose logs', 'everything'],
    ['wafer compose logs -f --tail 20 web', 'one service, and what comes'],
  ],
  run: async (flags, context) => {
    const { ui, positionals, rawArgs } = context;
    const since = flags.since === undefined ? undefined : Date.now() - parseDuration('--since', flags.since);
    const tail = flags.tail === undefined || flags.tail === 'all' ? undefined : parseCount('--tail', flags.tail);
    const { client, containers } = await findContainers(flags, positionals, context);
    const services = containers.map(({ service }) => service);
    const output = createServiceOutput(services, ui, !rawArgs.includes('--no-log-prefix'));
    const query = { ...(since === undefined ? {} : { since }), tail };
    if (!flags.follow) {
      const sources = containers.map(({ service, container }) => ({
        service,
        lines: client.logs(container.id, query),
      }));
      for await (const { service, line } of mergedLogs(sources)) await output.line(service, line);
      return;
    }
    const signal = untilInterrupted();
    await Promise.all(
      containers.map(({ service, container }) =>
        followService(client, service, container.id, { ...query, signal, output }),
      ),
    );
  },
});
