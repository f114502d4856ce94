#!lua flags=no-writes
-- Answers each node that was heard lately: its name, for how many ms it has been silent, its status.
-- KEYS: 1 {argiope}:nodes. ARGV: shown ms.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local nodes = {}
local all = redis.call('ZRANGE', KEYS[1], now - ARGV[1], '+inf', 'BYSCORE', 'WITHSCORES')
for i = 1, #all, 2 do
  local status = redis.call('GET', '{argiope}:n:' .. all[i]) or ''
  nodes[#nodes + 1] = { all[i], math.max(0, now - tonumber(all[i + 1])), status }
end
return nodes
