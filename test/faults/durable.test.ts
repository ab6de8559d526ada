/** One run of the campaign; `npm run faults` makes as many as one likes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, openCluster } from '../helpers/cluster.ts';
import { campaign } from './durable/campaign.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await openCluster();
});
afterAll(() => cluster?.close());

describe('while workers, API and Redis are killed, stopped and restarted', () => {
  it('no accepted call is lost, and none has two outcomes', async () => {
    const [report] = await campaign(cluster, { runs: 1, seed: 20, forMs: 8_000, onRun: () => {} });
    expect(report?.accepted).toBeGreaterThan(0);
    expect(report).toMatchObject({ lost: [], twice: [] });
  });
});
