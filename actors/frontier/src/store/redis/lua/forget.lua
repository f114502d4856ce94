-- These are not known any more: whatever leads to them brings them in anew. Only URLs that are done may be forgotten.
-- ARGV: crawl, then bucket and member of each. Answers how many were known. A second time there are none.
local gone = 0
for i = 2, #ARGV, 2 do gone = gone + redis.call('SREM', p .. 'u:' .. ARGV[i], ARGV[i + 1]) end
count('known', -gone)
count('done', -gone)
save()
return gone
