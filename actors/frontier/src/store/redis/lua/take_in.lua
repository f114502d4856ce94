-- Takes in hosts and URLs of a crawl that moves; not to be run twice. ARGV: crawl, URLs of a class until it is cold, then
-- counted lists:
--   hosts: name, length of its domain, token, learned delay ms, due in ms, failures, suspect, done, leases
--   robots: host, https, port (the record is written beside)
--   queued: host, class, due in ms, element
local queue_max = tonumber(ARGV[2])
local at = 3
local function take()
  at = at + 1
  return ARGV[at - 1]
end
local function number() return tonumber(take()) end
if redis.call('HGET', p .. 'm', 'st') ~= 'import' then return redis.error_reply('NOIMPORT no crawl is being taken in') end

for _ = 1, number() do
  local host, dlen = take(), number()
  load({ host })
  local rec = recs[host] or { ends = 0, q = { 0, 0, 0, 0 }, pushed = 0, cold = 0, robots = '' }
  recs[host] = rec
  rec.dlen = dlen
  local sh = shs[host]
  -- Another crawl may know the host too: the stricter of both holds.
  sh.token = math.max(sh.token, number())
  sh.learned = math.max(sh.learned, number())
  sh.next_ok = math.max(sh.next_ok, now + number())
  rec.token = sh.token
  rec.failures, rec.suspect, rec.done, rec.leases = number(), number(), number(), number()
  dirty[host], sh_dirty[host] = true, true
end

for _ = 1, number() do
  local host = take()
  load({ host })
  local rec = recs[host]
  if not rec then return redis.error_reply('NOHOST a robots.txt comes before its host') end
  rec.robots = rec.robots .. struct.pack('<BI2', number(), number())
  dirty[host] = true
end

local changed = {}
for _ = 1, number() do
  local host, class, due_in, element = take(), number(), number(), take()
  load({ host })
  local rec = recs[host]
  if not rec then return redis.error_reply('NOHOST a URL comes before its host') end
  if total(rec) == 0 then count('active', 1) end
  rec.q[class + 1] = rec.q[class + 1] + 1
  count('queued', 1)
  if class == 3 then
    redis.call('ZADD', queue(3, host), now + due_in, struct.pack('>I4', rec.pushed) .. element)
    rec.pushed = (rec.pushed + 1) % 4294967296
  else
    if rec.q[class + 1] > queue_max and not is_cold(rec, class) then make_cold(host, rec, class) end
    redis.call('RPUSH', is_cold(rec, class) and tail(class, host) or queue(class, host), element)
  end
  dirty[host], changed[host] = true, true
end
local long = {}
for host in pairs(changed) do
  local rec = recs[host]
  if rec.ends == 0 then reschedule(host, rec) end
  for class = 0, 2 do
    if is_cold(rec, class) and redis.call('LLEN', tail(class, host)) >= queue_max then
      long[#long + 1] = host
      long[#long + 1] = text(class)
    end
  end
end
save()
return long
