#!lua
-- Closes or opens the gate of a shard. KEYS[1] '{sN}:m'. ARGV: 'moving' or 'run'; what time it is in the shard, in us, as
-- the mover reckons it (0: it was not moved). Closed, it notes its time: wherever it is opened, its time never goes back.
-- Answers the shard's time.
local gate = redis.call('HMGET', KEYS[1], 'v', 'off', 'held')
if gate[1] ~= '1' then return redis.error_reply('NOGATE the shard is not here') end
local function text(number) return string.format('%.0f', number) end
local t, off = redis.call('TIME'), tonumber(gate[2]) or 0
local now = t[1] * 1000000 + t[2] + off
if ARGV[1] == 'moving' then
  redis.call('HSET', KEYS[1], 'st', 'moving', 'held', text(now))
  return text(now)
end
local wanted = math.max(tonumber(ARGV[2]), tonumber(gate[3]) or 0)
if tonumber(ARGV[2]) > 0 or now < wanted then
  off = off + wanted - now
  now = wanted
end
redis.call('HSET', KEYS[1], 'st', 'run', 'off', text(off))
redis.call('HDEL', KEYS[1], 'held')
return text(now)
