#!lua
-- Sets a crawl's state if it is still the expected one; answers the state that was found.
-- KEYS: 1 {argiope}:c<c>. ARGV: expected, new.
local found = redis.call('HGET', KEYS[1], 'state') or ''
if found == ARGV[1] then
  redis.call('HSET', KEYS[1], 'state', ARGV[2])
end
return found
