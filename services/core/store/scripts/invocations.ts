import { script } from './script.ts';

/**
 * Writes records and keeps what is kept of each function: the newest N, and none older than the cut.
 * KEYS index of all, index of each function; ARGV record prefix, seconds to live, records per function,
 * first id that is young enough, then id, number of the function's key and JSON of each record.
 */
export const recordScript = script(
  'record',
  `
local prefix, ttl, keep, cut = ARGV[1], ARGV[2], tonumber(ARGV[3]), '(' .. ARGV[4]
for at = 5, #ARGV, 3 do
  local id = ARGV[at]
  redis.call('SET', prefix .. id, ARGV[at + 2], 'EX', ttl)
  redis.call('ZADD', KEYS[1], 0, id)
  redis.call('ZADD', KEYS[tonumber(ARGV[at + 1])], 0, id)
end
for index = 1, #KEYS do
  redis.call('ZREMRANGEBYLEX', KEYS[index], '-', cut)
  redis.call('EXPIRE', KEYS[index], ttl)
end
for index = 2, #KEYS do
  local over = redis.call('ZCARD', KEYS[index]) - keep
  if over > 0 then
    local popped = redis.call('ZPOPMIN', KEYS[index], over)
    for at = 1, #popped, 2 do
      redis.call('ZREM', KEYS[1], popped[at])
      redis.call('UNLINK', prefix .. popped[at])
    end
  end
end
return #KEYS
`,
);

/**
 * Keeps the newest records of calls that waited for a start, beyond the many that did not.
 * KEYS list of each function; ARGV records per function, seconds to live, then number of the function's key and
 * JSON of each record, oldest first.
 */
export const startsScript = script(
  'starts',
  `
for at = 3, #ARGV, 2 do redis.call('LPUSH', KEYS[tonumber(ARGV[at])], ARGV[at + 1]) end
for index = 1, #KEYS do
  redis.call('LTRIM', KEYS[index], 0, ARGV[1] - 1)
  redis.call('EXPIRE', KEYS[index], ARGV[2])
end
return #KEYS
`,
);

/**
 * Appends log lines and keeps each stream below a count, a size and an age.
 * KEYS streams; ARGV lines per stream, bytes per stream, milliseconds to live, then number of the stream,
 * time, version, instance, invocation, stream name and text of each line.
 */
export const appendLogsScript = script(
  'append-logs',
  `
local maxLines, maxBytes, ttl = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = redis.call('TIME')
local oldest = string.format('%.0f', math.max(0, now[1] * 1000 + math.floor(now[2] / 1000) - ttl))
for at = 4, #ARGV, 7 do
  redis.call('XADD', KEYS[tonumber(ARGV[at])], 'MAXLEN', '~', maxLines, '*',
    't', ARGV[at + 1], 'v', ARGV[at + 2], 'i', ARGV[at + 3], 'c', ARGV[at + 4], 's', ARGV[at + 5], 'x', ARGV[at + 6])
end
for index = 1, #KEYS do
  redis.call('XTRIM', KEYS[index], 'MINID', oldest)
  local bytes = redis.call('MEMORY', 'USAGE', KEYS[index], 'SAMPLES', 0)
  local lines = redis.call('XLEN', KEYS[index])
  while bytes and bytes > maxBytes and lines > 1 do
    lines = math.max(1, math.floor(lines * 0.75))
    redis.call('XTRIM', KEYS[index], 'MAXLEN', lines)
    bytes = redis.call('MEMORY', 'USAGE', KEYS[index], 'SAMPLES', 0)
  end
  redis.call('PEXPIRE', KEYS[index], ttl)
end
return #KEYS
`,
);
