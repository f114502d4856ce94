-- Leases a host without URLs: for one request that another host's robots.txt redirects to. Whoever is turned away comes
-- before the next claim for a while.
-- ARGV: crawl, host, length of its domain, lease ms, our delay ms, leases of a domain at most (-1: any; a visit may be
-- one more), how long it is kept, ms.
-- Answers token, delay in ms and strikes; or 0 and: in how many us the host may be asked, -1 while somebody asks it.
local host, term, ours, domain_max = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if redis.call('HGET', p .. 'm', 'st') ~= 'run' then return redis.error_reply('PAUSED the crawl is paused') end
load({ host })
local rec, sh = recs[host] or new_rec(tonumber(ARGV[3])), shs[host]
recs[host] = rec
if rec.ends == 0 then others_over(host, sh, ours) end
local is_leased = rec.ends > 0 or sh.ends > 0
if is_leased or sh.next_ok > now then
  sh.kept = math.max(sh.next_ok, now) + tonumber(ARGV[7])
  sh_dirty[host] = true
  if rec.ends == 0 then reschedule(host, rec) end
  save()
  if is_leased then return { '0', '-1', {} } end
  return { '0', text(sh.next_ok * 1000 - now_us), {} }
end
local domain = domain_of(host, rec)
if domain_max >= 0 then
  -- A lease that has run out counts until a claim has ended it: it may be released yet, and counts on then.
  if redis.call('ZCARD', s .. 'd:' .. domain) > domain_max then return { '0', '-1', {} } end
end
sh.token = math.max(sh.token + 1, now_us)
sh.ends = after(0, term)
sh.crawl, sh.kept = tonumber(ARGV[1]), 0
rec.token, rec.ends, rec.class, rec.alone, rec.handed, rec.marks = sh.token, sh.ends, 3, 0, 65535, ''
dirty[host], sh_dirty[host] = true, true
unschedule(host)
redis.call('ZADD', p .. 'l', rec.ends, host)
if domain_max >= 0 then
  redis.call('ZADD', s .. 'd:' .. domain, rec.ends, host)
  redis.call('ZREM', s .. 'w:' .. domain, ARGV[1] .. '|' .. host)
end
count('leases', 1)
save()
return { text(rec.token), text(math.max(ours, sh.learned)), strikes_of(sh) }
