/** Secrets: a record and its values change in one step, and only from what the change was made of. */
import { script } from './script.ts';

/**
 * KEYS secrets, values, counters, revision; ARGV name, JSON as it was ('' for none), new JSON ('' removes it), counter as it
 * was, new counter, most secrets, field of a new value ('' for none), the value, fields that go ...
 * @returns `ok` | `full` | `changed` (by somebody else meanwhile)
 */
export const saveSecretScript = script(
  'secret-save',
  `
local before = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local counter = redis.call('HGET', KEYS[3], ARGV[1]) or '0'
if before ~= ARGV[2] or counter ~= ARGV[4] then return 'changed' end
if before == '' and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then return 'full' end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1])
else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[5])
if ARGV[7] ~= '' then redis.call('HSET', KEYS[2], ARGV[7], ARGV[8]) end
for gone = 9, #ARGV do redis.call('HDEL', KEYS[2], ARGV[gone]) end
redis.call('INCR', KEYS[4])
return 'ok'
`,
);
