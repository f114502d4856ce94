#!lua
-- What every script of a crawl's shard begins with. KEYS[1] is the shard's gate '{sN}:m', ARGV[1] the crawl's number.
-- Records, keys and what happens to a host at the end of a lease are the same for all scripts and are defined here.
-- Times are ms since 1970 in the shard's time, `now_us` in microseconds. A host's name is `host`, its record in this
-- crawl `rec`, what all crawls share of it `sh`. Marks of a lease: 0 open, 1 gone from the queue, 2 back in the queue.
local gate = redis.call('HMGET', KEYS[1], 'v', 'st', 'off', 'clock')
if gate[1] ~= '1' then return redis.error_reply('NOGATE the shard is not here') end
if gate[2] ~= 'run' then return redis.error_reply('MOVING the shard is being moved') end
local s = string.sub(KEYS[1], 1, -2)
local p = s .. ARGV[1] .. ':'
local off = tonumber(gate[3]) or 0

local function clock()
  if gate[4] then return tonumber(gate[4]) end -- tests only: the deployment was made with a clock of its own
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2] + off
end
local now_us = clock()
local now = math.floor(now_us / 1000)

-- The first whole ms that lies `by` ms after a moment `ago` us before now.
local function after(ago_us, by)
  return math.ceil((math.max(now_us - ago_us, 0) + by * 1000) / 1000)
end

-- Counters of the crawl in this shard, written once at the end.
local counts = {}
local function count(name, by)
  if by ~= 0 then counts[name] = (counts[name] or 0) + by end
end

local recs, dirty, sh_dirty = {}, {}, {}

local REC = '<BddI4I4I4I4I4I4I4BBBBB'
local function rec_read(raw)
  if not raw then return nil end
  local r = { q = {} }
  local v, at, robots
  v, r.token, r.ends, r.q[1], r.q[2], r.q[3], r.q[4], r.pushed, r.leases, r.done, r.failures, r.suspect, r.cold, r.dlen, robots, at =
    struct.unpack(REC, raw)
  if v ~= 1 then error('RECORD of version ' .. v) end
  r.robots = string.sub(raw, at, at + robots * 3 - 1)
  at = at + robots * 3
  if r.cold > 0 then r.cut, at = struct.unpack('<d', raw, at) end
  if r.ends > 0 then
    r.class, r.alone, r.handed, at = struct.unpack('<BBI2', raw, at)
    r.marks = string.sub(raw, at)
  end
  return r
end

local function new_rec(dlen)
  return { token = 0, ends = 0, q = { 0, 0, 0, 0 }, pushed = 0, leases = 0, done = 0, failures = 0, suspect = 0, cold = 0,
    dlen = dlen, robots = '' }
end

local function rec_write(r)
  local raw = struct.pack(REC, 1, r.token, r.ends, r.q[1], r.q[2], r.q[3], r.q[4], r.pushed, r.leases, r.done,
    r.failures, r.suspect, r.cold, r.dlen, #r.robots / 3) .. r.robots
  if r.cold > 0 then raw = raw .. struct.pack('<d', r.cut) end
  if r.ends > 0 then raw = raw .. struct.pack('<BBI2', r.class, r.alone, r.handed) .. r.marks end
  return raw
end

-- Version 2 ends with what version 1 has not: until when visitors come before claims (`kept`), and how often in a row the
-- host was not reached, refused, and when the latest of these was. It is written where needed.
local SH = '<BdddI4I4B'
local function sh_read(raw)
  local h = { token = 0, ends = 0, next_ok = 0, learned = 0, crawl = 0, waiters = '', kept = 0, unreached = 0, refused = 0,
    last = 0 }
  if not raw then return h end
  local v, at, n
  v, h.token, h.ends, h.next_ok, h.learned, h.crawl, n, at = struct.unpack(SH, raw)
  if v > 2 then error('RECORD of version ' .. v) end
  h.waiters = string.sub(raw, at, at + n * 4 - 1)
  if v == 2 then h.kept, h.unreached, h.refused, h.last = struct.unpack('<dBBd', raw, at + n * 4) end
  return h
end

local function sh_write(h)
  local v, more = 1, ''
  if h.kept > 0 or h.unreached > 0 or h.refused > 0 or h.last > 0 then
    v, more = 2, struct.pack('<dBBd', h.kept, h.unreached, h.refused, h.last)
  end
  return struct.pack(SH, v, h.token, h.ends, h.next_ok, h.learned, h.crawl, #h.waiters / 4) .. h.waiters .. more
end

-- What all crawls share of a host is unpacked when it is first asked for: most links go to hosts that need none of it.
local packed = {}
local shs = setmetatable({}, {
  __index = function(all, host)
    local sh = sh_read(packed[host])
    all[host] = sh
    return sh
  end,
})

-- Reads what is not read yet of these hosts.
local function load(hosts)
  local missing, seen = {}, {}
  for _, host in ipairs(hosts) do
    if recs[host] == nil and not seen[host] then
      seen[host] = true
      missing[#missing + 1] = host
    end
  end
  for first = 1, #missing, 1000 do
    local last = math.min(first + 999, #missing)
    local raws = redis.call('HMGET', p .. 'H', unpack(missing, first, last))
    local shared = redis.call('HMGET', s .. 'h', unpack(missing, first, last))
    for i = first, last do
      local host = missing[i]
      recs[host] = rec_read(raws[i - first + 1]) or false
      packed[host] = shared[i - first + 1]
    end
  end
end

local function queue(class, host)
  if class == 3 then return p .. 'r:' .. host end
  return p .. 'q' .. class .. ':' .. host
end

-- A class that is long is cold: its queue is only the head, then come chunks, packed by a node, then the tail that takes
-- new URLs. Whatever leaves the chunks' or the tail's front makes a new `cut`: who has read under an older one is refused.
local COLD = { [0] = 1, 2, 4 }
local function chunks(class, host) return p .. 'k' .. class .. ':' .. host end
local function tail(class, host) return p .. 't' .. class .. ':' .. host end
local function is_cold(rec, class)
  return class < 3 and math.floor(rec.cold / COLD[class]) % 2 == 1
end
local function cut(host, rec)
  rec.cut = math.max((rec.cut or 0) + 1, now_us)
  dirty[host] = true
end
local function make_cold(host, rec, class)
  if rec.cold == 0 then cut(host, rec) end
  rec.cold = rec.cold + COLD[class]
end
-- The class has only its head again, if so.
local function warm(host, rec, class)
  if redis.call('EXISTS', chunks(class, host), tail(class, host)) > 0 then return end
  rec.cold = rec.cold - COLD[class]
  dirty[host] = true
end

local function total(rec) return rec.q[1] + rec.q[2] + rec.q[3] + rec.q[4] end

local function first_retry(host)
  local first = redis.call('ZRANGE', p .. 'r:' .. host, 0, 0, 'WITHSCORES')
  return tonumber(first[2])
end

-- When the host's turn comes; nil when nothing waits.
local function due(host, rec)
  local free = math.max(shs[host].next_ok, shs[host].kept)
  if rec.q[1] + rec.q[2] + rec.q[3] > 0 then return free end
  if rec.q[4] > 0 then return math.max(free, first_retry(host) or 0) end
  return nil
end

-- Puts an unleased host where it belongs in the schedule: suspects wait apart, since they are leased alone.
local function schedule(host, rec)
  local at = due(host, rec)
  local key, other = p .. 'z', p .. 'zs'
  if rec.suspect == 1 then key, other = other, key end
  redis.call('ZREM', other, host)
  if at then redis.call('ZADD', key, at, host) else redis.call('ZREM', key, host) end
end

local function unschedule(host)
  redis.call('ZREM', p .. 'z', host)
  redis.call('ZREM', p .. 'zs', host)
end

local function domain_of(host, rec) return string.sub(host, -rec.dlen) end

-- The turn of an unleased host has moved; where it waits for room in its domain, it keeps its place by its turn.
local function reschedule(host, rec)
  schedule(host, rec)
  local at = due(host, rec)
  if at then redis.call('ZADD', s .. 'w:' .. domain_of(host, rec), 'XX', at, ARGV[1] .. '|' .. host) end
end

-- Takes the settled URLs of a lease off the queue's front; what is open or back stays in its order.
local function fold(host, rec)
  local key, marks = queue(rec.class, host), rec.marks
  if rec.class == 3 then
    if string.find(marks, '1', 1, true) then
      local all, gone = redis.call('ZRANGE', key, 0, #marks - 1), {}
      for i = 1, #all do
        if string.sub(marks, i, i) == '1' then gone[#gone + 1] = all[i] end
      end
      redis.call('ZREM', key, unpack(gone))
    end
  else
    local lead = #string.match(marks, '^1*')
    if string.find(marks, '1', lead + 1, true) then
      local rest, keep = redis.call('LRANGE', key, lead, #marks - 1), {}
      redis.call('LTRIM', key, #marks, -1)
      for i = #rest, 1, -1 do
        if string.sub(marks, lead + i, lead + i) ~= '1' then keep[#keep + 1] = rest[i] end
      end
      if #keep > 0 then redis.call('LPUSH', key, unpack(keep)) end
    elseif lead > 0 then
      redis.call('LTRIM', key, lead, -1)
    end
  end
end

local function open_of(marks)
  local _, n = string.gsub(marks, '0', '0')
  return n
end

-- A host that waits in a crawl may be looked at again at this time.
local function call_up(crawl, at, host)
  redis.call('ZADD', s .. crawl .. ':z', 'XX', at, host)
  redis.call('ZADD', s .. crawl .. ':zs', 'XX', at, host)
end

-- A lease of the domain is over: of the hosts that wait for room there, calls the first whose turn has come.
local function call_waiter(domain)
  while true do
    local first = redis.call('ZPOPMIN', s .. 'w:' .. domain)
    if not first[1] then return end
    local crawl, name = string.match(first[1], '^(%d+)|(.*)$')
    load({ name })
    local at = nil
    if crawl ~= ARGV[1] then
      at = math.max(tonumber(first[2]), shs[name].next_ok, shs[name].kept)
      call_up(crawl, at, name)
    elseif recs[name] and recs[name].ends == 0 then
      at = due(name, recs[name])
      schedule(name, recs[name])
    end
    -- Who has nothing to ask for, or not yet, leaves the room to the next.
    if at and at <= now then return end
  end
end

-- The lease is over, however it ended: queue, budgets and those who waited for it.
local function lease_over(host, rec)
  local sh = shs[host]
  count('out', -open_of(rec.marks))
  count('leases', -1)
  fold(host, rec)
  redis.call('ZREM', p .. 'l', host)
  rec.ends, rec.marks = 0, nil
  dirty[host], sh_dirty[host] = true, true
  local domain = domain_of(host, rec)
  -- Not where another crawl has leased the host since: that lease counts for the domain.
  if sh.ends == 0 and redis.call('ZREM', s .. 'd:' .. domain, host) == 1 then
    call_waiter(domain)
  end
  for at = 1, #sh.waiters, 4 do
    local crawl = struct.unpack('<I4', sh.waiters, at)
    call_up(string.format('%d', crawl), sh.next_ok, host)
  end
  sh.waiters = ''
  schedule(host, rec)
end

-- Another crawl's lease that ran out; what became of its URLs is that crawl's to see.
local function others_over(host, sh, ours)
  if sh.ends == 0 or sh.ends > now then return end
  sh.token = math.max(sh.token + 1, now_us)
  sh.ends, sh.crawl = 0, 0
  sh.next_ok = math.max(sh.next_ok, after(0, math.max(ours, sh.learned)))
  sh_dirty[host] = true
end

-- Ends a lease of which nothing is waited for any more; true if it did.
local function close_if_finished(host, rec)
  if rec.ends == 0 or rec.handed == 65535 or string.find(rec.marks, '0', 1, true) then return false end
  local sh = shs[host]
  -- A visit says nothing of the URL that may have ended a process.
  if rec.marks ~= '' then rec.failures, rec.suspect = 0, 0 end
  sh.next_ok = math.max(sh.next_ok, now)
  if sh.token == rec.token then sh.ends, sh.crawl = 0, 0 end
  lease_over(host, rec)
  return true
end

-- Where an element keeps its tries: behind version, kind, depth (one or three bytes) and hops.
local function tries_at(element)
  if string.byte(element, 3) == 251 then return 7 end
  return 5
end

local function with_tries(element, tries)
  local at = tries_at(element)
  return string.sub(element, 1, at - 1) .. string.char(tries) .. string.sub(element, at + 1)
end

-- The queued element at a position of the lease, as it is stored there.
local function element_at(host, rec, position)
  local key = queue(rec.class, host)
  if rec.class == 3 then return redis.call('ZRANGE', key, position, position)[1] end
  return redis.call('LINDEX', key, position)
end

-- Writes down that a URL is not tried again.
local function give_up(host, rec, token, element)
  local number = redis.call('HINCRBY', p .. 'm', 'gave', 1)
  local row = struct.pack('<Bds', 1, token, host) .. element
  redis.call('HSET', p .. 'g', string.format('%d', number), row)
  rec.done = rec.done + 1
  count('done', 1)
end

local function left_queue(host, rec, class)
  rec.q[class + 1] = rec.q[class + 1] - 1
  count('queued', -1)
  if total(rec) == 0 then count('active', -1) end
  dirty[host] = true
end

local function mark(rec, position, as)
  rec.marks = string.sub(rec.marks, 1, position) .. as .. string.sub(rec.marks, position + 2)
  count('out', -1)
end

-- Writes all that was changed.
local function save()
  local args, shared = {}, {}
  for host in pairs(dirty) do
    args[#args + 1] = host
    args[#args + 1] = rec_write(recs[host])
  end
  for host in pairs(sh_dirty) do
    shared[#shared + 1] = host
    shared[#shared + 1] = sh_write(shs[host])
  end
  for first = 1, #args, 2000 do redis.call('HSET', p .. 'H', unpack(args, first, math.min(first + 1999, #args))) end
  for first = 1, #shared, 2000 do
    redis.call('HSET', s .. 'h', unpack(shared, first, math.min(first + 1999, #shared)))
  end
  for name, by in pairs(counts) do
    if by ~= 0 then redis.call('HINCRBY', p .. 'm', name, string.format('%d', by)) end
  end
end

local function text(number) return string.format('%.0f', number) end

-- How a host has met those who asked it, as a lease tells it.
local function strikes_of(sh) return { text(sh.unreached), text(sh.refused), text(sh.last) } end
