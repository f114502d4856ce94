#!lua flags=allow-oom
-- Sets how fast. The same again makes no new version.
-- KEYS: 1 the rate's hash. ARGV: schema, requests an hour (0: no limit), burst, always or once.
-- Reply: the version that holds.
local row = redis.call('HMGET', KEYS[1], 'v', 'version', 'rate', 'burst')
if row[1] then
  if tonumber(row[1]) > tonumber(ARGV[1]) then
    return redis.error_reply('ERR schema ' .. row[1] .. ' of ' .. KEYS[1])
  end
  if ARGV[4] == 'once' or (row[3] == ARGV[2] and row[4] == ARGV[3]) then return tonumber(row[2]) end
end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'rate', ARGV[2], 'burst', ARGV[3])
return redis.call('HINCRBY', KEYS[1], 'version', 1)
