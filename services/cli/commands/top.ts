import { command, jsonFlag } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { containerArgument } from '../containers/arguments.ts';
import { formatBytes, formatMs, safeText } from '../format.ts';

export default command({
  name: 'top',
  about: 'Lists the processes of a container, with ids as they are inside.',
  args: { ...containerArgument, ...jsonFlag },
  examples: [['wafer top web', 'what runs in it']],
  run: async ({ container, json }, { ui, env }) => {
    const processes = await createContainerClient(env).top(container);
    if (json) return ui.json(processes);
    ui.table(
      [
        { header: 'PID', align: 'right' },
        { header: 'PARENT', align: 'right' },
        { header: 'UID', align: 'right' },
        { header: 'STATE' },
        { header: 'CPU', align: 'right' },
        { header: 'MEMORY', align: 'right' },
        { header: 'COMMAND' },
      ],
      processes.map(({ pid, parent, uid, state, cpuMs, memoryBytes, command: line }) => [
        String(pid),
        String(parent),
        String(uid),
        state,
        formatMs(cpuMs),
        formatBytes(memoryBytes),
        safeText(line).replaceAll('\n', ' '),
      ]),
    );
  },
});
