-- Puts the URLs of the first chunk back into the queue. ARGV: crawl, host, class, the cut under which the chunk was read,
-- its URLs. Answers 0 if the cut has gone by: somebody else has done it.
local host, class = ARGV[2], tonumber(ARGV[3])
load({ host })
local rec = recs[host]
if not rec or not is_cold(rec, class) or rec.cut ~= tonumber(ARGV[4]) then return 0 end
for first = 5, #ARGV, 1000 do
  redis.call('RPUSH', queue(class, host), unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
redis.call('LPOP', chunks(class, host))
cut(host, rec)
warm(host, rec, class)
save()
return 1
