#!lua
-- How many URLs may still be leased before the limit of kept pages: kept and out never exceed it together.
-- KEYS[1] '{c<crawl>}:l'. ARGV: limit, wanted, kept since the last call (negative: reopened), no longer out since then.
-- Answers what is granted (counted as out), kept, out.
local limit, wanted = tonumber(ARGV[1]), tonumber(ARGV[2])
local counts = redis.call('HMGET', KEYS[1], 'kept', 'out')
local kept = math.max((tonumber(counts[1]) or 0) + tonumber(ARGV[3]), 0)
local out = math.max((tonumber(counts[2]) or 0) - tonumber(ARGV[4]), 0)
local granted = math.max(math.min(wanted, limit - kept - out), 0)
redis.call('HSET', KEYS[1], 'kept', string.format('%.0f', kept), 'out', string.format('%.0f', out + granted))
return { granted, kept, out + granted }
