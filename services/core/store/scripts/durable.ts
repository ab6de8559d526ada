/**
 * The life of an invocation that was accepted first and runs later. Each step is one script, so
 * no crash leaves half of it. What is written, below the namespace's root:
 *
 *   call:ID            hash: the record, as `durable/record.ts` reads it
 *   call:ID:timeline   list of JSON entries, oldest first; that it was accepted is in the record
 *   calls, calls:FN    zsets, all scores 0: ids, which sort by time
 *   pending:FN         zset id -> accepted at: those that have not ended
 *   pushing            zset `ID ID...` -> accepted at: groups that were written, and are not known to be in the queue yet
 *   ended              zset id -> finished at: what retention looks at
 *   running:FN, running:FN:k:KEY   sets: those that have room now
 *   room:FN, room:FN:k:KEY         lists: those that wait for room, first come first
 *   rate:FN            the time before which no start is due (GCRA)
 *   dead, dead:FN      zsets id -> finished at: the dead letters
 *   outbox             zset id -> when to look: ended ones whose followers have not got everything; see `callbacks.ts`
 *   once:DIGEST        string `ID BODY-DIGEST`: idempotency keys; expires
 *   durable            hash of counters, pending, and since the beginning each final state, lost, late
 *
 * Keys are built from the root (ARGV[1]); its hash tag keeps all of them in one slot.
 */
import { script } from './script.ts';

const HEAD = `
local root, at = ARGV[1], tonumber(ARGV[2])
local function recordKey(id) return root .. ':call:' .. id end
`;

/** `root`, `at` (now), and what several scripts do. */
const COMMON = `${HEAD}
local function note(id, entry) redis.call('RPUSH', recordKey(id) .. ':timeline', entry) end
local function field(id, name) return redis.call('HGET', recordKey(id), name) end

local function leaveRoom(id, fn, key)
  local woken = {}
  local function leave(place)
    redis.call('LREM', root .. ':room:' .. place, 0, id)
    if redis.call('SREM', root .. ':running:' .. place, id) == 1 then
      local first = redis.call('LPOP', root .. ':room:' .. place)
      if first then woken[#woken + 1] = first end
    end
  end
  leave(fn)
  if key and key ~= '' then leave(fn .. ':k:' .. key) end
  return woken
end

local function finish(id, state, outcome, receipt, result, entry)
  local record = recordKey(id)
  local got = redis.call('HMGET', record, 'functionName', 'concurrencyKey', 'follow')
  local fn = got[1]
  redis.call('HSET', record, 'state', state, 'outcome', outcome, 'finishedAt', at)
  if receipt ~= '' then redis.call('HSET', record, 'receipt', receipt) end
  if result ~= '' then redis.call('HSET', record, 'result', result) end
  redis.call('HDEL', record, 'token', 'worker')
  note(id, entry)
  redis.call('ZREM', root .. ':pending:' .. fn, id)
  redis.call('ZADD', root .. ':ended', at, id)
  if state == 'failed' or state == 'expired' then
    redis.call('ZADD', root .. ':dead', at, id)
    redis.call('ZADD', root .. ':dead:' .. fn, at, id)
  end
  if got[3] == '1' then
    redis.call('ZADD', root .. ':outbox', at, id)
    redis.call('PUBLISH', root .. ':outbox', id)
  end
  redis.call('HINCRBY', root .. ':durable', 'pending', -1)
  redis.call('HINCRBY', root .. ':durable', state, 1)
  redis.call('PUBLISH', root .. ':ended', id)
  return leaveRoom(id, fn, got[2])
end

local function isFinal(state) return state ~= 'queued' and state ~= 'running' end
`;

/**
 * ARGV root, now, seconds a key of idempotency is kept, JSON of the calls, then of each its part that never changes. A
 * call is a list: id, function, most pending, key of idempotency and digest of the body (or '' and ''), then fields and values.
 * One JSON: arguments cost their sender and Redis more than all else that happens here. What is the same for all of a
 * group is asked and written once. Scores are text: of a number Redis makes seventeen digits each time.
 * @returns of those that were not taken, which they are (from 1): index, `repeated` id | `conflict` id | `full` count
 */
export const acceptScript = script(
  'durable-accept',
  `${HEAD}
local pending, byFunction, all = {}, {}, {}
local function accept(call, fixed)
  local id, fn, most, once, digest = unpack(call, 1, 5)
  if once ~= '' then
    local before = redis.call('GET', root .. ':once:' .. once)
    if before then
      local first, same = string.match(before, '^(%S+) (%S+)$')
      return same == digest and 'repeated' or 'conflict', first
    end
  end
  pending[fn] = pending[fn] or redis.call('ZCARD', root .. ':pending:' .. fn)
  if pending[fn] >= most then return 'full', pending[fn] end
  pending[fn] = pending[fn] + 1
  if once ~= '' then redis.call('SET', root .. ':once:' .. once, id .. ' ' .. digest, 'EX', ARGV[3]) end
  redis.call('HSET', recordKey(id), 'state', 'queued', 'call', fixed, unpack(call, 6))
  byFunction[fn] = byFunction[fn] or {}
  table.insert(byFunction[fn], id)
  table.insert(all, id)
end

local refused = {}
for at, call in ipairs(cjson.decode(ARGV[4])) do
  local why, detail = accept(call, ARGV[4 + at])
  if why then table.insert(refused, {at, why, detail}) end
end

local function add(key, score, ids)
  local pairs = {}
  for _, id in ipairs(ids) do
    pairs[#pairs + 1] = score
    pairs[#pairs + 1] = id
  end
  redis.call('ZADD', key, unpack(pairs))
end
if #all > 0 then
  add(root .. ':calls', '0', all)
  redis.call('ZADD', root .. ':pushing', ARGV[2], table.concat(all, ' '))
  redis.call('HINCRBY', root .. ':durable', 'pending', #all)
end
for fn, ids in pairs(byFunction) do
  add(root .. ':calls:' .. fn, '0', ids)
  add(root .. ':pending:' .. fn, ARGV[2], ids)
end
return refused
`,
);

/**
 * KEYS lock of the claim; ARGV root, now, id, token, worker, most crashes, ms until one that waits for room looks again,
 * outcome JSON of one that crashed too often, of one that expired, whether this worker knows volumes (1 or '').
 * @returns `lost` | `over` | `wait` when, reason, woken... | `ended` woken... | `run` attempt |
 *   `unsure` attempt, state: an attempt that is lost ends it so, unless that had written to a volume
 */
export const beginScript = script(
  'durable-begin',
  `${COMMON}
local id, token, worker, mostCrashes, lookAgain = ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
if redis.call('GET', KEYS[1]) ~= token then return {'lost'} end
local record = recordKey(id)
local got = redis.call('HMGET', record, 'state', 'functionName', 'attempts', 'expiresAt', 'concurrencyKey',
  'mostAtOnce', 'mostPerKey', 'rateEvery', 'rateBurst', 'cancelReason', 'transaction', 'crashes')
local state, fn, attempts, key = got[1], got[2], tonumber(got[3] or '0'), got[5]
if not state or isFinal(state) then return {'over'} end
local function json(event, more) return '{"at":' .. at .. ',"event":"' .. event .. '"' .. more .. '}' end

-- Its room is still its own: nobody who waits is let in for it.
local hadRoom = state == 'running'
local isOld = at >= tonumber(got[4])
local crashes = tonumber(got[12] or '0') + 1
local unsure = hadRoom and got[11] and
  (got[10] and 'cancelled' or crashes >= mostCrashes and 'failed' or isOld and 'expired')
if unsure and ARGV[10] == '' then return {'wait', at + 1000, 'volume'} end
if hadRoom then
  redis.call('HSET', record, 'state', 'queued', 'crashes', crashes)
  redis.call('HINCRBY', root .. ':durable', 'lost', 1)
  note(id, json('attempt_lost', ',"attempt":' .. attempts .. ',"reason":"Its worker was gone before it had ended."'))
  if unsure then
    redis.call('HSET', record, 'state', 'running', 'token', token, 'worker', worker)
    return {'unsure', attempts, unsure}
  end
  if got[10] then return {'ended', unpack(finish(id, 'cancelled', '{"kind":"cancelled","message":' .. cjson.encode(got[10]) .. '}', '', '', json('cancelled', ',"reason":' .. cjson.encode(got[10]))))} end
  if crashes >= mostCrashes then
    return {'ended', unpack(finish(id, 'failed', ARGV[8], '', '', json('failed', ',"reason":"It is parked: ' .. crashes .. ' of its attempts ended with their worker."')))}
  end
end
if isOld then
  return {'ended', unpack(finish(id, 'expired', ARGV[9], '', '', json('expired', '')))}
end

local function hasRoom(place, most)
  if not most or hadRoom then return true end
  if redis.call('SCARD', root .. ':running:' .. place) < tonumber(most) then return true end
  redis.call('LREM', root .. ':room:' .. place, 0, id)
  redis.call('RPUSH', root .. ':room:' .. place, id)
  return false
end
if not hasRoom(fn, got[6]) then return {'wait', at + lookAgain, 'room'} end
if key and not hasRoom(fn .. ':k:' .. key, got[7]) then return {'wait', at + lookAgain, 'room'} end
if got[8] then
  local every, burst = tonumber(got[8]), tonumber(got[9])
  local due = math.max(tonumber(redis.call('GET', root .. ':rate:' .. fn) or '0'), at)
  if due - at > every * (burst - 1) then
    return {'wait', math.ceil(due - every * (burst - 1)), 'rate', unpack(hadRoom and leaveRoom(id, fn, key) or {})}
  end
  redis.call('SET', root .. ':rate:' .. fn, due + every, 'PX', math.ceil(every * (burst + 1)))
end

attempts = attempts + 1
redis.call('SADD', root .. ':running:' .. fn, id)
if key then redis.call('SADD', root .. ':running:' .. fn .. ':k:' .. key, id) end
redis.call('HSET', record, 'state', 'running', 'token', token, 'worker', worker, 'attempts', attempts)
redis.call('HSETNX', record, 'startedAt', at)
note(id, json('running', ',"attempt":' .. attempts))
return {'run', attempts}
`,
);

/**
 * The one place where an outcome becomes visible.
 * KEYS lock of the claim; ARGV root, now, id, token, `succeeded | failed | again | back`, outcome JSON, receipt JSON or '',
 * result JSON or '', entry of the timeline, then of a cancelled one: outcome JSON, entry.
 * @returns `late` | `settled` state, woken...
 */
export const settleScript = script(
  'durable-settle',
  `${COMMON}
-- One that is given back every second, for a day, has one entry for all of it: since when, and why it waits now.
local function noteBack(id, entry)
  local timeline = recordKey(id) .. ':timeline'
  local before, run = unpack(redis.call('LRANGE', timeline, -2, -1))
  local first = before and cjson.decode(before)
  if not first or first.event ~= 'waiting' or cjson.decode(run).event ~= 'running' then return note(id, entry) end
  redis.call('RPOP', timeline)
  local latest = cjson.decode(entry)
  latest.at = first.at
  redis.call('LSET', timeline, -1, cjson.encode(latest))
end

local id, token, verdict = ARGV[3], ARGV[4], ARGV[5]
local record = recordKey(id)
local got = redis.call('HMGET', record, 'state', 'token', 'functionName', 'concurrencyKey', 'cancelReason')
if redis.call('GET', KEYS[1]) ~= token or got[1] ~= 'running' or got[2] ~= token then
  redis.call('HINCRBY', root .. ':durable', 'late', 1)
  return {'late'}
end
if got[5] and verdict ~= 'succeeded' then
  return {'settled', 'cancelled', unpack(finish(id, 'cancelled', ARGV[10], ARGV[7], '', ARGV[11]))}
end
if verdict == 'again' or verdict == 'back' then
  redis.call('HSET', record, 'state', 'queued')
  redis.call('HDEL', record, 'token', 'worker')
  if verdict == 'again' then
    redis.call('HSET', record, 'outcome', ARGV[6])
    note(id, ARGV[9])
  else
    redis.call('HINCRBY', record, 'attempts', -1)
    noteBack(id, ARGV[9])
  end
  return {'settled', 'queued', unpack(leaveRoom(id, got[3], got[4]))}
end
return {'settled', verdict, unpack(finish(id, verdict, ARGV[6], ARGV[7], ARGV[8], ARGV[9]))}
`,
);

/**
 * ARGV root, now, id, reason, outcome JSON, entry of the timeline.
 * @returns `unknown` | `over` | `asked` (its worker will end it) | `cancelled` woken...
 */
export const cancelScript = script(
  'durable-cancel',
  `${COMMON}
local id = ARGV[3]
local state = field(id, 'state')
if not state then return {'unknown'} end
if isFinal(state) then return {'over'} end
if state == 'running' then
  redis.call('HSET', recordKey(id), 'cancelReason', ARGV[4])
  redis.call('PUBLISH', root .. ':cancel', id)
  return {'asked'}
end
return {'cancelled', unpack(finish(id, 'cancelled', ARGV[5], '', '', ARGV[6]))}
`,
);

/**
 * Forgets what ended long ago, and what is more than is kept of a function.
 * ARGV root, now, ended before, most of a function, most at once.
 * @returns ids that are gone: their files can go, too
 */
export const forgetScript = script(
  'durable-forget',
  `${COMMON}
local gone = {}
local function forget(id)
  local fn = field(id, 'functionName')
  redis.call('UNLINK', recordKey(id), recordKey(id) .. ':timeline', recordKey(id) .. ':deliveries')
  for _, set in ipairs({'ended', 'dead', 'outbox', 'calls'}) do redis.call('ZREM', root .. ':' .. set, id) end
  if fn then
    redis.call('ZREM', root .. ':dead:' .. fn, id)
    redis.call('ZREM', root .. ':calls:' .. fn, id)
  end
  gone[#gone + 1] = id
end
local old = redis.call('ZRANGE', root .. ':ended', '-inf', ARGV[3], 'BYSCORE', 'LIMIT', 0, ARGV[5])
local functions = {}
for _, id in ipairs(redis.call('ZRANGE', root .. ':ended', -tonumber(ARGV[5]), -1)) do
  local fn = field(id, 'functionName')
  if fn then functions[fn] = true end
end
for _, id in ipairs(old) do forget(id) end
for fn in pairs(functions) do
  local over = redis.call('ZCARD', root .. ':calls:' .. fn) - tonumber(ARGV[4])
  if over > 0 then
    for _, id in ipairs(redis.call('ZRANGE', root .. ':calls:' .. fn, 0, math.min(over, 4 * tonumber(ARGV[5])) - 1)) do
      -- What follows it needs its record.
      if isFinal(field(id, 'state') or 'gone') and not redis.call('ZSCORE', root .. ':outbox', id) then forget(id) end
    end
  end
end
return gone
`,
);
