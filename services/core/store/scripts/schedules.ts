/**
 * Schedules. What is written, below the namespace's root:
 *
 *   schedules           zset, all scores 0: names
 *   schedule:NAME       hash: id, definition JSON, createdAt, updatedAt, paused, due, last (invocation), problem
 *   schedule:NAME:runs  list of JSON entries, newest first
 *   schedules:due       zset name -> when to look at it: its due time with jitter, or the end of somebody's claim
 *
 * A due time stays in `due` until what became of it is written (`advanceScript`), so a ticker
 * that dies in between leaves a claim that ends, and nothing else.
 */
import { script } from './script.ts';

const COMMON = `
local root = ARGV[1]
local function scheduleKey(name) return root .. ':schedule:' .. name end
local function wait(name, due, look)
  if due == '' then
    redis.call('HDEL', scheduleKey(name), 'due')
    redis.call('ZREM', root .. ':schedules:due', name)
  else
    redis.call('HSET', scheduleKey(name), 'due', due)
    redis.call('ZADD', root .. ':schedules:due', look, name)
  end
end
`;

/**
 * ARGV root, name, id for a new one, definition JSON, now, '1' when paused, due or '', when to look, most schedules.
 * @returns `created` id | `replaced` id | `full` count
 */
export const putScheduleScript = script(
  'schedule-put',
  `${COMMON}
local name, key = ARGV[2], scheduleKey(ARGV[2])
local id, answer = redis.call('HGET', key, 'id'), 'replaced'
if not id then
  local count = redis.call('ZCARD', root .. ':schedules')
  if count >= tonumber(ARGV[9]) then return {'full', count} end
  id, answer = ARGV[3], 'created'
  redis.call('HSET', key, 'id', id, 'createdAt', ARGV[5])
  redis.call('ZADD', root .. ':schedules', 0, name)
end
redis.call('HSET', key, 'definition', ARGV[4], 'updatedAt', ARGV[5], 'paused', ARGV[6])
redis.call('HDEL', key, 'problem')
wait(name, ARGV[7], ARGV[8])
return {answer, id}
`,
);

/** ARGV root, name, now, '1' or '' (paused), due or '', when to look. @returns 0 when there is no such schedule */
export const pauseScheduleScript = script(
  'schedule-pause',
  `${COMMON}
local key = scheduleKey(ARGV[2])
if redis.call('EXISTS', key) == 0 then return 0 end
if (redis.call('HGET', key, 'paused') or '') == ARGV[4] then return 1 end
redis.call('HSET', key, 'paused', ARGV[4], 'updatedAt', ARGV[3])
redis.call('HDEL', key, 'problem')
wait(ARGV[2], ARGV[5], ARGV[6])
return 1
`,
);

/** ARGV root, name. */
export const removeScheduleScript = script(
  'schedule-remove',
  `${COMMON}
redis.call('ZREM', root .. ':schedules:due', ARGV[2])
redis.call('UNLINK', scheduleKey(ARGV[2]) .. ':runs', scheduleKey(ARGV[2]))
return redis.call('ZREM', root .. ':schedules', ARGV[2])
`,
);

/**
 * Takes what is due; until the claim ends nobody else gets it.
 * ARGV root, now, end of the claim, most at once.
 * @returns name, id, definition, due, last invocation or '' of each
 */
export const claimSchedulesScript = script(
  'schedule-claim',
  `${COMMON}
local names = redis.call('ZRANGE', root .. ':schedules:due', '-inf', ARGV[2], 'BYSCORE', 'LIMIT', 0, ARGV[4])
local claimed = {}
for _, name in ipairs(names) do
  local got = redis.call('HMGET', scheduleKey(name), 'id', 'definition', 'due', 'last')
  if got[1] and got[3] then
    redis.call('ZADD', root .. ':schedules:due', ARGV[3], name)
    claimed[#claimed + 1] = {name, got[1], got[2], got[3], got[4] or ''}
  else
    redis.call('ZREM', root .. ':schedules:due', name)
  end
end
return claimed
`,
);

/**
 * What became of a due time, once: of a schedule that waits for another by now nothing changes.
 * ARGV root, name, id, due, next due or '', when to look, last invocation or '' (stays), most runs, then JSON of each run.
 * @returns 1 when it was written
 */
export const advanceScheduleScript = script(
  'schedule-advance',
  `${COMMON}
local name, key = ARGV[2], scheduleKey(ARGV[2])
local got = redis.call('HMGET', key, 'id', 'due')
if got[1] ~= ARGV[3] or got[2] ~= ARGV[4] then return 0 end
wait(name, ARGV[5], ARGV[6])
redis.call('HDEL', key, 'problem')
if ARGV[7] ~= '' then redis.call('HSET', key, 'last', ARGV[7]) end
for index = 9, #ARGV do redis.call('LPUSH', key .. ':runs', ARGV[index]) end
redis.call('LTRIM', key .. ':runs', 0, tonumber(ARGV[8]) - 1)
return 1
`,
);

/** It could not be started now. ARGV root, name, id, due, when to look again, problem. */
export const postponeScheduleScript = script(
  'schedule-postpone',
  `${COMMON}
local name, key = ARGV[2], scheduleKey(ARGV[2])
local got = redis.call('HMGET', key, 'id', 'due')
if got[1] ~= ARGV[3] or got[2] ~= ARGV[4] then return 0 end
redis.call('HSET', key, 'problem', ARGV[6])
redis.call('ZADD', root .. ':schedules:due', ARGV[5], name)
return 1
`,
);

/** A run by hand. ARGV root, name, most runs, JSON of the run. */
export const noteRunScript = script(
  'schedule-note-run',
  `${COMMON}
local key = scheduleKey(ARGV[2])
if redis.call('EXISTS', key) == 0 then return 0 end
redis.call('LPUSH', key .. ':runs', ARGV[4])
redis.call('LTRIM', key .. ':runs', 0, tonumber(ARGV[3]) - 1)
return 1
`,
);
