-- Takes a packed chunk in the place of the tail's first URLs, and answers what could be packed next.
-- ARGV: crawl, host, class, the tail's length from which it is spilled, URLs of a chunk, then none or: the cut under which
-- the tail was read, how many of its URLs are in the chunk, the chunk. Answers 0 if the cut has gone by, else 1; then the
-- cut and the URLs, if the tail is still long.
local host, class = ARGV[2], tonumber(ARGV[3])
load({ host })
local rec = recs[host]
if not rec or not is_cold(rec, class) then return { 0, '', {} } end
if ARGV[6] then
  if rec.cut ~= tonumber(ARGV[6]) then return { 0, '', {} } end
  redis.call('LTRIM', tail(class, host), tonumber(ARGV[7]), -1)
  redis.call('RPUSH', chunks(class, host), ARGV[8])
  cut(host, rec)
  save()
end
if redis.call('LLEN', tail(class, host)) < tonumber(ARGV[4]) then return { 1, '', {} } end
return { 1, text(rec.cut), redis.call('LRANGE', tail(class, host), 0, tonumber(ARGV[5]) - 1) }
