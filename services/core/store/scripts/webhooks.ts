/** Webhooks and their inbox. A delivery is written, and told from a replay, in one step; so is each later one. */
import { script } from './script.ts';

/**
 * KEYS names, webhook; ARGV name, id, JSON as it was ('' for a new one), new JSON, most webhooks.
 * @returns `ok` | `taken` | `full` | `changed` (by somebody else meanwhile, or removed)
 */
export const saveWebhookScript = script(
  'webhook-save',
  `
local before = redis.call('GET', KEYS[2]) or ''
if before ~= ARGV[3] then return 'changed' end
if before == '' then
  if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 'taken' end
  if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then return 'full' end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
redis.call('SET', KEYS[2], ARGV[4])
return 'ok'
`,
);

/**
 * KEYS names, webhook, its two lists of deliveries, due; ARGV name, prefix of deliveries.
 * @returns ids of its deliveries: their files can go, too
 */
export const removeWebhookScript = script(
  'webhook-remove',
  `
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
local gone = {}
for list = 3, 4 do
  for _, id in ipairs(redis.call('ZRANGE', KEYS[list], 0, -1)) do
    redis.call('UNLINK', ARGV[2] .. id)
    redis.call('ZREM', KEYS[5], id)
    gone[#gone + 1] = id
  end
  redis.call('UNLINK', KEYS[list])
end
return gone
`,
);

/** Removes the oldest above what is kept, but none that still has to become an invocation; a few at a time. */
const TRIM = `
local function trim(list, due, prefix, keep, gone)
  local over = redis.call('ZCARD', list) - keep
  if over <= 0 then return end
  for _, old in ipairs(redis.call('ZRANGE', list, 0, math.min(over, 20) - 1)) do
    if not redis.call('ZSCORE', due, old) then
      redis.call('UNLINK', prefix .. old)
      redis.call('ZREM', list, old)
      gone[#gone + 1] = old
    end
  end
end
`;

/**
 * KEYS webhook, list, due, once; ARGV prefix of deliveries, id, seconds that its name counts (0: it has none),
 * when it is tried first ('': it does not become an invocation), most that may be due, how many are kept, then fields
 * and values.
 * @returns `gone` | `duplicate` first | `full` count | `ok` ids that were trimmed...
 */
export const receiveScript = script(
  'webhook-receive',
  `${TRIM}
if redis.call('EXISTS', KEYS[1]) == 0 then return {'gone'} end
if ARGV[3] ~= '0' then
  local first = redis.call('GET', KEYS[4])
  if first then return {'duplicate', first} end
end
if ARGV[4] ~= '' then
  local due = redis.call('ZCARD', KEYS[3])
  if due >= tonumber(ARGV[5]) then return {'full', due} end
  redis.call('ZADD', KEYS[3], ARGV[4], ARGV[2])
end
if ARGV[3] ~= '0' then redis.call('SET', KEYS[4], ARGV[2], 'EX', ARGV[3]) end
redis.call('HSET', ARGV[1] .. ARGV[2], unpack(ARGV, 7))
redis.call('ZADD', KEYS[2], 0, ARGV[2])
local gone = {'ok'}
trim(KEYS[2], KEYS[3], ARGV[1], tonumber(ARGV[6]), gone)
return gone
`,
);

/**
 * The delivery became its invocation number N.
 * KEYS delivery, due; ARGV id, N, id of the invocation, now.
 * @returns 1 when more is to be done
 */
export const handedScript = script(
  'webhook-handed',
  `
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('ZREM', KEYS[2], ARGV[1]) return 0 end
redis.call('HSET', KEYS[1], 'inv:' .. ARGV[2], ARGV[3] .. ' ' .. ARGV[4])
redis.call('HDEL', KEYS[1], 'error', 'tries')
local done = tonumber(redis.call('HGET', KEYS[1], 'done') or '0')
if tonumber(ARGV[2]) > done then
  done = tonumber(ARGV[2])
  redis.call('HSET', KEYS[1], 'done', done)
end
if done >= tonumber(redis.call('HGET', KEYS[1], 'wanted') or '0') then redis.call('ZREM', KEYS[2], ARGV[1]) return 0 end
return 1
`,
);

/** It could not become one now. KEYS delivery, due; ARGV id, reason, when it is tried next ('': never). */
export const notHandedScript = script(
  'webhook-not-handed',
  `
if ARGV[3] == '' or redis.call('EXISTS', KEYS[1]) == 0 then redis.call('ZREM', KEYS[2], ARGV[1])
else redis.call('ZADD', KEYS[2], 'XX', ARGV[3], ARGV[1]) end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'error', ARGV[2])
  redis.call('HINCRBY', KEYS[1], 'tries', 1)
  if ARGV[3] == '' then redis.call('HSET', KEYS[1], 'done', redis.call('HGET', KEYS[1], 'wanted') or '0') end
end
return 1
`,
);

/**
 * One more invocation of a delivery. What was asked for before keeps its function: it may have been accepted already.
 * KEYS delivery, due; ARGV id, function, alias, now.
 * @returns `unknown` | `refused` verdict | `ok` number
 */
export const redeliverScript = script(
  'webhook-redeliver',
  `
local got = redis.call('HMGET', KEYS[1], 'verdict', 'wanted', 'done')
if not got[1] then return {'unknown'} end
if got[1] ~= 'accepted' and got[1] ~= 'filtered' then return {'refused', got[1]} end
local wanted = tonumber(got[2] or '0') + 1
if wanted - 1 == tonumber(got[3] or '0') then redis.call('HSET', KEYS[1], 'functionName', ARGV[2], 'alias', ARGV[3]) end
redis.call('HSET', KEYS[1], 'wanted', wanted)
redis.call('HDEL', KEYS[1], 'error', 'tries')
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
return {'ok', wanted}
`,
);

/** KEYS list, due; ARGV prefix of deliveries, ids below this one go, most at once. @returns ids that are gone */
export const forgetDeliveriesScript = script(
  'webhook-forget',
  `
local gone = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], '-', '(' .. ARGV[2], 'BYLEX', 'LIMIT', 0, ARGV[3])) do
  if not redis.call('ZSCORE', KEYS[2], id) then
    redis.call('UNLINK', ARGV[1] .. id)
    redis.call('ZREM', KEYS[1], id)
    gone[#gone + 1] = id
  end
end
return gone
`,
);
