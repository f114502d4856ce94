#!lua
-- Nothing is leased, and for a while nobody has counted anything: what is out was lost with a node. KEYS[1]
-- '{c<crawl>}:l'. ARGV: kept and out as they were seen all the while, kept by the shards' own counts. Answers 1 if done.
local counts = redis.call('HMGET', KEYS[1], 'kept', 'out')
if (counts[1] or '0') ~= ARGV[1] or (counts[2] or '0') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'kept', ARGV[3], 'out', '0')
return 1
