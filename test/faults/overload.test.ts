/** A few seconds of the overload campaign; `npm run faults -- --overload` makes a minute of it, with its figures. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestPlatform, type TestPlatform } from '../helpers/platform.ts';
import { CAPACITY, deployLimited, load, MAX_PENDING, removeLimited } from './overload/campaign.ts';

let wafer: TestPlatform;
beforeAll(async () => {
  wafer = await startTestPlatform();
  await deployLimited(wafer);
});
afterAll(async () => {
  await removeLimited(wafer);
  await wafer.stop();
});

describe('five times as many calls as there is capacity for', () => {
  it('are taken up to the limit of the queue, and the others told when to come again', async () => {
    const report = await load(wafer, 5, 4);
    expect(report.accepted).toBeGreaterThan(0);
    expect(report.accepted).toBeLessThan(report.sent - CAPACITY);
    expect(Object.keys(report.refused)).toEqual(['429']);
    expect(report).toMatchObject({ withoutRetryAfter: 0, failed: 0 });
    expect(report.mostPending).toBeLessThanOrEqual(MAX_PENDING);
  });
});
