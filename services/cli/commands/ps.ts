import type { BlankInfo, InstanceInfo } from '../../core/invocations/types.ts';
import { createClient } from '../client.ts';
import { command, jsonFlag } from '../command.ts';
import { createContainerClient } from '../container-client.ts';
import { createFilter } from '../containers/filters.ts';
import { showContainers } from '../containers/show.ts';
import { formatAge, formatBytes } from '../format.ts';
import { repeated } from '../repeated.ts';
import type { Ui } from '../ui.ts';

function showInstances(ui: Ui, instances: readonly InstanceInfo[], now: number): void {
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
}

function showBlanks(ui: Ui, blanks: readonly BlankInfo[]): void {
  for (const { base, runtime, volumes, egress, ready, booting } of blanks) {
    const kinds = [volumes > 0 && `${volumes} ${volumes === 1 ? 'volume' : 'volumes'}`, egress && 'egress'].filter(
      Boolean,
    );
    const what = kinds.length > 0 ? ` with ${kinds.join(' and ')}` : '';
    const more = booting > 0 ? `${what}, ${booting} booting` : what;
    ui.out(`Ready for first calls: ${ready} ${runtime} on ${base}${more} (no code in them yet; WAFER_BLANKS)`);
  }
}

export default command({
  name: 'ps',
  about:
    'Lists what runs: containers, and instances of functions (sandboxes bound to one version, each with its own host user id).',
  args: {
    all: { type: 'boolean', alias: 'a', description: 'Containers that do not run, too' },
    quiet: { type: 'boolean', alias: 'q', description: 'Only the ids of containers' },
    filter: {
      type: 'string',
      valueHint: 'KEY=VALUE',
      description:
        'Only such containers: name, id, status, health, image, exited, group, volume, label; may be repeated',
    },
    ...jsonFlag,
  },
  examples: [
    ['wafer ps -a', 'everything, with how it ended'],
    ['wafer ps -a --filter status=exited --filter label=team', 'some'],
    ['wafer rm $(wafer ps -aq --filter status=exited)', 'for scripts'],
    ["wafer ps --json | jq '.instances | map(.memoryBytes) | add'", 'memory of all instances'],
  ],
  run: async ({ all, quiet, json }, { ui, env, rawArgs }) => {
    const filters = repeated(rawArgs, ['--filter']);
    const matches = createFilter(filters);
    // A filter for what does not run asks for what does not run.
    const wantsAll = all === true || filters.some((text) => /^(?:status|exited)=/.test(text));
    const [everything, { instances, blanks }] = await Promise.all([
      createContainerClient(env).list(wantsAll),
      quiet || filters.length > 0 ? { instances: [], blanks: [] } : createClient(env).instances(),
    ]);
    const containers = everything.filter(matches);
    if (json) return ui.json({ containers, instances, blanks });
    if (quiet) {
      for (const { id } of containers) ui.out(id);
      return;
    }
    if (containers.length === 0 && instances.length === 0) {
      if (filters.length > 0) return ui.out('No container is like that.');
      showBlanks(ui, blanks);
      ui.out('Nothing is running. A call starts an instance of a function, "wafer run" a container.');
      return;
    }
    const now = Date.now();
    if (containers.length > 0) showContainers(ui, containers, now);
    if (containers.length > 0 && instances.length > 0) ui.out();
    if (instances.length > 0) showInstances(ui, instances, now);
    showBlanks(ui, blanks);
  },
});
