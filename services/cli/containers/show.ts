/** Containers as rows for a person. */
import type { Container, PortBinding } from '../../core/containers/types.ts';
import { formatAge, formatAgo, safeText } from '../format.ts';
import type { Column, Ui } from '../ui.ts';

export const shortId = (id: string): string => id.slice(0, 12);

/** `running 5 min (healthy)`, `exited 3, 2 h ago`. */
export function statusText(
  { status, health, exitCode, startedAt, finishedAt, oomKilled, error }: Container,
  now: number,
): string {
  const isHealthy = health === null ? '' : ` (${health})`;
  if (status === 'running' || status === 'paused')
    return `${status} ${startedAt === null ? '' : formatAge(startedAt, now)}${isHealthy}`.trimEnd();
  if (status !== 'exited') return status;
  const code = exitCode === null ? (error === null ? '' : ' with an error') : ` ${exitCode}`;
  const ago = finishedAt === null ? '' : `, ${formatAgo(finishedAt, now)}`;
  return `exited${code}${oomKilled ? ' (out of memory)' : ''}${ago}`;
}

const address = ({ hostAddress, hostPort, containerPort }: PortBinding) =>
  `${hostAddress === '::1' ? '[::1]' : hostAddress}:${hostPort}→${containerPort}`;

/** Bound ports while it runs, else those it will have. */
export function portText({ ports, config, status }: Container): string {
  if (ports.length > 0) return ports.map(address).join(', ');
  return status === 'running' ? '' : config.ports.map(address).join(', ').replaceAll(':0→', ':?→');
}

const MAX_COMMAND = 30;

export function commandText(argv: readonly string[]): string {
  const text = safeText(argv.join(' ')).replaceAll('\n', ' ');
  return text.length > MAX_COMMAND ? `${text.slice(0, MAX_COMMAND - 1)}…` : text;
}

const STATUS_COLOURS = {
  running: 'green',
  paused: 'yellow',
  restarting: 'yellow',
  created: 'cyan',
  exited: 'dim',
} as const;

export function showContainers(ui: Ui, containers: readonly Container[], now: number): void {
  const columns: Column[] = [
    { header: 'CONTAINER' },
    { header: 'NAME', style: 'bold' },
    { header: 'IMAGE' },
    { header: 'COMMAND' },
    { header: 'STATUS' },
    { header: 'PORTS' },
  ];
  ui.table(
    columns,
    containers.map((one) => [
      shortId(one.id),
      one.name,
      safeText(one.config.image),
      commandText(one.argv),
      ui.paint(STATUS_COLOURS[one.status], statusText(one, now)),
      portText(one),
    ]),
  );
}
