/** Series of volumes. None has the name of one: users make those up. */
import type { SeriesOf } from './series.ts';
import type { Readings } from './types.ts';

export function volumeSeries(series: SeriesOf, readings: Readings): void {
  const read = () => readings.volumes?.();
  contentSeries(series, () => read()?.now);
  const { counterBy } = series;
  const commits = {
    name: 'wafer_volume_commits_total',
    help: 'Transactions that succeeded; unchanged: nothing was written; repeated: an earlier attempt of the invocation had been kept',
  };
  counterBy('result', commits, () => read()?.commits);
  const discards = {
    name: 'wafer_volume_discards_total',
    help: 'Transactions of which nothing was kept, by the outcome that the call had for it; aborted: the platform or an import gave up',
  };
  counterBy('reason', discards, () => read()?.discards);
  const conflicts = {
    name: 'wafer_volume_conflicts_total',
    help: 'Calls and imports that ended as volume_conflict, by the policy of the volume; exclusive: mostly their turn did not come in time',
  };
  counterBy('policy', conflicts, () => read()?.conflicts);
  const full = {
    name: 'wafer_volume_full_total',
    help: 'Calls and imports that ended as volume_full, and instances that were ended for it, by how the volume is written to',
  };
  counterBy('mode', full, () => read()?.full);
}

type Now = NonNullable<ReturnType<NonNullable<Readings['volumes']>>>['now'];

function contentSeries({ gauge }: SeriesOf, read: () => Now | undefined): void {
  gauge({ name: 'wafer_volumes', help: 'Volumes of functions' }, () => read()?.volumes);
  gauge({ name: 'wafer_volume_snapshots', help: 'Snapshots of volumes of functions' }, () => read()?.snapshots);
  const layers = { name: 'wafer_volume_layers', help: 'Directories that states and snapshots of volumes are made of' };
  gauge(layers, () => read()?.layers);
  const mounts = { name: 'wafer_volume_mounts', help: 'Places where instances have volumes' };
  gauge(mounts, () => read()?.mounts);
  const bytes = {
    name: 'wafer_volume_bytes',
    help: 'Bytes of volumes and snapshots on the disk; what is written to as it is was measured within the last minutes',
  };
  gauge(bytes, () => read()?.usage?.bytes);
  const entries = { name: 'wafer_volume_entries', help: 'Files, directories and links of volumes and snapshots' };
  gauge(entries, () => read()?.usage?.entries);
}
