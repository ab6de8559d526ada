import { describe, expect, test } from 'vitest';
import {
  invocationIdPrefix,
  invocationTime,
  isInvocationId,
  newApiKey,
  newInstanceId,
  newInvocationId,
} from '../../../services/core/ids.ts';
import { createLog, formatLine } from '../../../services/core/log.ts';
import { createTelemetry } from '../../../services/core/telemetry.ts';

describe('ids', () => {
  test('invocation ids sort by time as plain text, and carry it', () => {
    const times = [0, 1, 31, 32, 1_700_000_000_000, 1_700_000_000_001, 8_640_000_000_000_000 / 10];
    const ids = times.map((time) => newInvocationId(time));
    expect([...ids].sort()).toEqual(ids);
    expect(ids.map(invocationTime)).toEqual(times);
    expect(ids[4]?.startsWith(invocationIdPrefix(1_700_000_000_000))).toBe(true);
  });

  test('no two are equal', () => {
    expect(new Set(Array.from({ length: 10_000 }, () => newInvocationId(0))).size).toBe(10_000);
    expect(new Set(Array.from({ length: 10_000 }, newInstanceId)).size).toBe(10_000);
  });

  test('only an invocation id is one', () => {
    expect(isInvocationId(newInvocationId())).toBe(true);
    for (const text of [
      '',
      'inv_',
      `${newInvocationId()}x`,
      `${newInvocationId()}\n`,
      'inv_../../../../../../../etc/pw',
    ]) {
      expect(isInvocationId(text)).toBe(false);
      expect(invocationTime(text)).toBeNull();
    }
  });

  test('a key has 200 random bits and a prefix to be found by', () => {
    expect(newApiKey()).toMatch(/^wafer_[0-9a-hjkmnp-tv-z]{40}$/);
  });
});

function capture(isTTY: boolean) {
  const lines: string[] = [];
  const stream = { isTTY, write: (line: string) => void lines.push(line) };
  return { lines, log: createLog({ level: 'info', stream }) };
}

describe('createLog()', () => {
  test('writes JSON lines when nobody watches', () => {
    const { lines, log } = capture(false);
    log.info({ port: 7070 }, 'listening');
    log.debug('not this');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 30, port: 7070, msg: 'listening' });
  });

  test('never writes a key, a password, an authorization header or the environment of a function', () => {
    const { lines, log } = capture(false);
    const secret = 'hunter2';
    log.info({ authorization: secret, key: secret, password: secret, env: { A: secret } }, 'top');
    log.info({ headers: { authorization: secret, cookie: secret }, config: { env: { A: secret } } }, 'deep');
    log.info({ req: { headers: { authorization: secret } } }, 'request');
    expect(lines).toHaveLength(3);
    expect(lines.join('')).not.toContain(secret);
  });

  test('writes one readable line for a person, and the stack of an error below', () => {
    const { lines, log } = capture(true);
    log.warn({ port: 7070 }, 'odd');
    log.error({ err: new TypeError('bad') }, 'failed');
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} warn {3}odd {2}port=7070\n$/);
    expect(lines[1]).toMatch(/error {2}failed\n {4}TypeError: bad\n {4} *at /);
  });

  test('text from outside can not draw on the terminal or fake a line', () => {
    const text = formatLine(JSON.stringify({ level: 30, time: 0, msg: 'a\u001b[2Jb\nc', path: '/x\r\n12:00 error' }));
    expect(text).toBe('00:00:00.000 info   a\\u001b[2Jb\\nc  path=/x\\r\\n12:00 error\n');
  });
});

describe('createTelemetry()', () => {
  test('counts calls by outcome and start, and shows readings of the moment', async () => {
    const telemetry = createTelemetry();
    const phases = { queue: 0, sandbox: 0, attach: 0, boot: 0, init: 0, handler: 2 };
    telemetry.call({ outcome: 'ok', start: 'warm', durationMs: 2, phases });
    telemetry.call({ outcome: 'function_timeout', start: null, durationMs: 9, phases: null });
    telemetry.lost('log_lines', 3);
    telemetry.observe({ queued: () => 4, instances: () => ({ starting: 0, idle: 2, busy: 1, ending: 0 }) });
    const text = await telemetry.text();
    telemetry.close();
    expect(text).toContain('wafer_calls_total{outcome="ok",start="warm"} 1');
    expect(text).toContain('wafer_calls_total{outcome="function_timeout",start="none"} 1');
    expect(text).toContain('wafer_call_phase_seconds_count{phase="handler",start="warm"} 1');
    expect(text).not.toContain('phase="boot"');
    expect(text).toContain('wafer_lost_total{what="log_lines"} 3');
    expect(text).toContain('wafer_calls_waiting 4');
    expect(text).toContain('wafer_instances{state="idle"} 2');
    expect(text).toContain('process_cpu_seconds_total');
  });

  test('shows volumes by kinds of ends, and no bytes while they have not been measured', async () => {
    const telemetry = createTelemetry();
    const now = { volumes: 3, snapshots: 1, layers: 5, mounts: 2, usage: null };
    const counts = {
      commits: { kept: 7, unchanged: 1, repeated: 0 },
      discards: { function_timeout: 2, aborted: 0 },
      conflicts: { exclusive: 0, optimistic: 4 },
      full: { rw: 1, tx: 0 },
    };
    telemetry.observe({ volumes: () => ({ now, ...counts }) });
    const text = await telemetry.text();
    telemetry.observe({ volumes: () => ({ now: { ...now, usage: { bytes: 4096, entries: 2 } }, ...counts }) });
    const later = await telemetry.text();
    telemetry.close();
    expect(text).toContain('wafer_volumes 3\n');
    expect(text).toContain('wafer_volume_commits_total{result="kept"} 7');
    expect(text).toContain('wafer_volume_discards_total{reason="function_timeout"} 2');
    expect(text).toContain('wafer_volume_conflicts_total{policy="optimistic"} 4');
    expect(text).toContain('wafer_volume_full_total{mode="rw"} 1');
    expect(text).not.toMatch(/^wafer_volume_bytes /m);
    expect(later).toContain('wafer_volume_bytes 4096');
    expect(later).toContain('wafer_volume_commits_total{result="kept"} 7');
  });

  test('a reading that fails takes no other metric with it', async () => {
    const telemetry = createTelemetry();
    telemetry.observe({ store: () => Promise.reject(new Error('away')), queued: () => 1 });
    const text = await telemetry.text();
    telemetry.close();
    expect(text).toContain('wafer_calls_waiting 1');
    expect(text).not.toMatch(/^wafer_store_bytes \d/m);
  });
});
