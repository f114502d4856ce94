#!lua
-- Makes a crawl with its first configuration, or answers the number of the one that is there; nothing when full.
-- KEYS: 1 {argiope}:conf, 2 {argiope}:crawls. ARGV: name, seed, bits, configuration, by, crawls at most.
local number = redis.call('HGET', KEYS[2], ARGV[1])
if number then
  return tonumber(number)
end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[6]) then
  return nil
end
number = redis.call('HINCRBY', KEYS[1], 'next-crawl', 1)
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local key = '{argiope}:c' .. string.format('%.0f', number)
redis.call('HSET', key, 'seed', ARGV[2], 'bits', ARGV[3], 'made-ms', now, 'state', 'preparing', 'version', 1)
redis.call('HSET', key .. ':conf', '1', ARGV[4], '1:by', now .. ' ' .. ARGV[5])
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', number))
return number
