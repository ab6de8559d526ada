import { script } from './script.ts';

/**
 * The only way a version comes into being: next number, version, `live`, record.
 * KEYS functions, counters, record, aliases, versions; ARGV name, now, version JSON without number.
 * The number is put in front of the JSON text, since a decode and encode by Lua would turn `[]` into `{}`.
 */
export const publishScript = script(
  'publish',
  `
local number = redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
local json = '{"number":' .. number .. ',' .. string.sub(ARGV[3], 2)
redis.call('HSET', KEYS[5], number, json)
redis.call('HSETNX', KEYS[3], 'createdAt', ARGV[2])
redis.call('HSET', KEYS[3], 'name', ARGV[1], 'latest', number)
redis.call('HSET', KEYS[4], 'live', number)
redis.call('ZADD', KEYS[1], 0, ARGV[1])
return json
`,
);

/**
 * One round trip on the way of every call.
 * KEYS record, aliases, versions; ARGV 'alias' or 'version', its value.
 */
export const resolveScript = script(
  'resolve',
  `
if redis.call('EXISTS', KEYS[1]) == 0 then return {'function_not_found'} end
local number = ARGV[2]
if ARGV[1] == 'alias' then
  number = redis.call('HGET', KEYS[2], ARGV[2])
  if not number then return {'alias_not_found', redis.call('HKEYS', KEYS[2])} end
end
local json = redis.call('HGET', KEYS[3], number)
if not json then return {'version_not_found', redis.call('HKEYS', KEYS[3])} end
return {'ok', json}
`,
);

/** KEYS record, aliases, versions; ARGV alias, version number. */
export const setAliasScript = script(
  'set-alias',
  `
if redis.call('EXISTS', KEYS[1]) == 0 then return {'function_not_found'} end
if redis.call('HEXISTS', KEYS[3], ARGV[2]) == 0 then
  return {'version_not_found', redis.call('HKEYS', KEYS[3])}
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return {'ok', redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2])}
`,
);

/** KEYS functions, then every key of the function; ARGV name. The counter stays. */
export const removeScript = script(
  'remove',
  `
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
for index = 2, #KEYS do redis.call('UNLINK', KEYS[index]) end
return 1
`,
);
