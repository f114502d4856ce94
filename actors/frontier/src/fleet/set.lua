#!lua
-- Puts a configuration in force if the expected version is; answers whether it is in force, and the version that is.
-- KEYS: 1 {argiope}:c<c>, 2 {argiope}:c<c>:conf. ARGV: expected, configuration, by, versions kept.
local version = redis.call('HGET', KEYS[1], 'version')
if not version then
  return { 0, 0 }
end
-- The same bytes are no change; so is a question asked again because its answer was lost.
if redis.call('HGET', KEYS[2], version) == ARGV[2] then
  return { 1, tonumber(version) }
end
if version ~= ARGV[1] then
  return { 0, tonumber(version) }
end
local next = tonumber(version) + 1
local field = string.format('%.0f', next)
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSET', KEYS[2], field, ARGV[2], field .. ':by', now .. ' ' .. ARGV[3])
local old = string.format('%.0f', next - tonumber(ARGV[4]))
redis.call('HDEL', KEYS[2], old, old .. ':by')
redis.call('HSET', KEYS[1], 'version', field)
return { 1, next }
