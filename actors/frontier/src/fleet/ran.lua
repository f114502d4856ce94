#!lua
-- Adds to a crawl's running time what of the last so many µs nobody told of yet; answers all of it. With none, it
-- only answers.
-- KEYS: 1 {argiope}:c<c>. ARGV: µs.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local facts = redis.call('HMGET', KEYS[1], 'ran-us', 'ran-at-us')
local ran = tonumber(facts[1] or 0)
local last = tonumber(facts[2] or 0)
if now > last and tonumber(ARGV[1]) > 0 then
  ran = ran + math.min(tonumber(ARGV[1]), now - last)
  redis.call('HSET', KEYS[1], 'ran-us', string.format('%.0f', ran), 'ran-at-us', string.format('%.0f', now))
end
return ran
