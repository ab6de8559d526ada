/**
 * The outbox: ended invocations whose followers do not have everything yet.
 *
 *   outbox              zset id -> when to look at it: when it ended, the end of somebody's claim, or the next attempt
 *   call:ID:deliveries  hash target -> JSON of Delivery
 *   callbacks:gone:URL-DIGEST   string: receivers that answered 410; expires
 *   callbacks:secrets   hash secret -> until when it signs, '' for the present one
 */
import { script } from './script.ts';

/** ARGV root, now, end of the claim, most at once. @returns ids */
export const claimOutboxScript = script(
  'outbox-claim',
  `
local outbox = ARGV[1] .. ':outbox'
local ids = redis.call('ZRANGE', outbox, '-inf', ARGV[2], 'BYSCORE', 'LIMIT', 0, ARGV[4])
for _, id in ipairs(ids) do redis.call('ZADD', outbox, ARGV[3], id) end
return ids
`,
);

/**
 * Whoever comes late, after its claim, changes nothing: each delivery is written over what was read.
 * ARGV root, id, then of each delivery target, JSON as it was read or '', JSON, entry of the timeline or ''.
 * @returns 0 when the invocation is not known any more
 */
export const noteDeliveriesScript = script(
  'outbox-note',
  `
local root, id = ARGV[1], ARGV[2]
local record = root .. ':call:' .. id
if redis.call('EXISTS', record) == 0 then
  redis.call('ZREM', root .. ':outbox', id)
  return 0
end
for index = 3, #ARGV, 4 do
  local before = redis.call('HGET', record .. ':deliveries', ARGV[index]) or ''
  if before == ARGV[index + 1] then
    redis.call('HSET', record .. ':deliveries', ARGV[index], ARGV[index + 2])
    if ARGV[index + 3] ~= '' then redis.call('RPUSH', record .. ':timeline', ARGV[index + 3]) end
  end
end
local look
for _, json in ipairs(redis.call('HVALS', record .. ':deliveries')) do
  local one = cjson.decode(json)
  if one.state == 'pending' and (not look or one.next < look) then look = one.next end
end
if look then redis.call('ZADD', root .. ':outbox', look, id) else redis.call('ZREM', root .. ':outbox', id) end
return 1
`,
);

/**
 * Signs with the given secret from now on; those before it sign, too, until their time and no longer than asked, at most two of them.
 * KEYS callbacks:secrets; ARGV the new secret, now, until when those before stay, '1': only when there is none.
 */
export const rotateSecretScript = script(
  'callbacks-rotate',
  `
local key, fresh, now, till = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local all, former = redis.call('HGETALL', key), {}
if ARGV[4] == '1' and #all > 0 then return 0 end
for index = 1, #all, 2 do
  local at = all[index + 1] == '' and till or math.min(tonumber(all[index + 1]), till)
  former[#former + 1] = {all[index], at, all[index + 1] == ''}
end
table.sort(former, function(a, b) if a[3] ~= b[3] then return a[3] end return a[2] > b[2] end)
redis.call('DEL', key)
for index, one in ipairs(former) do
  if index <= 2 and one[2] > now then redis.call('HSET', key, one[1], string.format('%d', one[2])) end
end
redis.call('HSET', key, fresh, '')
return 1
`,
);
