import { createClient } from '../client.ts';
import { command, jsonFlag } from '../command.ts';
import { formatAge, formatBytes } from '../format.ts';

export default command({
  name: 'ps',
  about: 'Lists running instances: sandboxes bound to one version, each with its own host user id.',
  args: { ...jsonFlag },
  examples: [
    ['wafer ps', 'a table'],
    ["wafer ps --json | jq 'map(.memoryBytes) | add'", 'memory of all instances'],
  ],
  run: async ({ json }, { ui, env }) => {
    const instances = await createClient(env).instances();
    if (json) return ui.json(instances);
    if (instances.length === 0) return ui.out('No instance is running. A call starts one.');
    const now = Date.now();
    ui.table(
      [
        { header: 'INSTANCE' },
        { header: 'FUNCTION', style: 'bold' },
        { header: 'VERSION', align: 'right' },
        { header: 'STATE' },
        { header: 'CALLS', align: 'right' },
        { header: 'NOW', align: 'right' },
        { header: 'MEMORY', align: 'right' },
        { header: 'HOST UID', align: 'right' },
        { header: 'PID', align: 'right' },
        { header: 'UP', align: 'right' },
      ],
      instances.map((one) => [
        one.id,
        one.functionName,
        `v${one.version}`,
        one.state,
        String(one.calls),
        String(one.inFlight),
        one.memoryBytes === null ? '?' : formatBytes(one.memoryBytes),
        String(one.hostUid),
        String(one.pid),
        formatAge(one.startedAt, now),
      ]),
    );
  },
});
