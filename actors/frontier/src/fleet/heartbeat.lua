#!lua
-- Notes that a node lives and how it stands; answers the time and the crawls that have not ended, or nothing when
-- another process lives under its name.
-- KEYS: 1 {argiope}:nodes, 2 {argiope}:n:<node>, 3 {argiope}:crawls. ARGV: node, process, status, life ms, shown ms.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = redis.call('ZSCORE', KEYS[1], ARGV[1])
if last and now - tonumber(last) <= tonumber(ARGV[4]) then
  local status = redis.call('GET', KEYS[2])
  if status and string.sub(status, 1, #ARGV[2]) ~= ARGV[2] then
    return nil
  end
end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('SET', KEYS[2], ARGV[2] .. ARGV[3], 'PX', ARGV[5])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now - ARGV[5]))
local crawls = {}
local all = redis.call('HGETALL', KEYS[3])
for i = 1, #all, 2 do
  local facts = redis.call('HMGET', '{argiope}:c' .. all[i + 1], 'state', 'version')
  if facts[1] and string.sub(facts[1], 1, 5) ~= 'ended' then
    crawls[#crawls + 1] = { all[i], tonumber(all[i + 1]), facts[1], tonumber(facts[2]) }
  end
end
return { now, crawls }
