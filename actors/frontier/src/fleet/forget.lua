#!lua
-- Takes an ended crawl off the list and notes that its keys are to go; answers its number, a state that is no end, or nothing.
-- KEYS: 1 {argiope}:crawls, 2 {argiope}:gone. ARGV: name.
local number = redis.call('HGET', KEYS[1], ARGV[1])
if not number then
  return nil
end
local facts = redis.call('HMGET', '{argiope}:c' .. number, 'state', 'bits')
if string.sub(facts[1] or '', 1, 5) ~= 'ended' then
  return facts[1]
end
redis.call('HSET', KEYS[2], number, facts[2])
redis.call('HDEL', KEYS[1], ARGV[1])
return 'gone'
