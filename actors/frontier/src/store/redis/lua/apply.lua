-- Everything that changes hosts but claims: links in, URLs settled, leases extended and released, hosts that want time.
-- Each part may be sent twice. Links come first, so that no URL is settled before what was found on it is known.
-- ARGV: crawl, tries at most, our delay ms, lease ms, URLs of a class until it is cold, URLs of a chunk, then
-- counted lists. Hosts are listed once and then named
-- by their place in the list:
--   hosts: name, length of its domain (negative where it is named for its links alone)
--   links: host and how many; each: flags, bucket, member, element, and its URL if flagged
--     (flags: class 0-2; s: a seed, f: forced, both known by spelling too; a: again, though it was
--     done, and k: and kept)
--   robots: host, https, port, record
--   settles: host, token, position, fate (D done, T try again, B back), kept, bytes, tries, wait us
--   extends: host, token
--   releases: host, token, handed, us since the last request's end (-1: none was sent)
--   schedules: host, delay ms (-1), rest ms (-1), unreached (-1: all three as they are), refused, when last
local tries_max, ours, term = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local queue_max, chunk = tonumber(ARGV[5]), tonumber(ARGV[6])
local at = 7
local function take()
  at = at + 1
  return ARGV[at - 1]
end
local function number() return tonumber(take()) end
local crawl = redis.call('HMGET', p .. 'm', 'st', 'hungry')
if not crawl[1] then return redis.error_reply('NOCRAWL the shard does not know the crawl') end

local names, dlens, needed = {}, {}, {}
for i = 1, number() do
  names[i], dlens[i] = take(), number()
  if dlens[i] > 0 then
    needed[#needed + 1] = names[i]
  else
    dlens[i] = -dlens[i]
  end
end
local function take_host()
  local i = number()
  return names[i], dlens[i]
end

local pushed, order, long = {}, {}, {}
-- What is pushed to the end of a host's class.
local function list_of(host, rec, class)
  local in_tail = is_cold(rec, class)
  local key = in_tail and tail(class, host) or queue(class, host)
  if not pushed[key] then
    pushed[key] = { in_tail = in_tail, host = host, class = class }
    order[#order + 1] = key
  end
  return pushed[key]
end
-- Queues what was pushed: before anything that counts positions. Who makes a tail one chunk longer is told to spill it.
local function flush()
  for _, key in ipairs(order) do
    local list, length = pushed[key], 0
    for first = 1, #list, 1000 do
      length = redis.call('RPUSH', key, unpack(list, first, math.min(first + 999, #list)))
    end
    local before = length - #list
    if list.in_tail and length >= queue_max and math.floor(before / chunk) < math.floor(length / chunk) then
      long[#long + 1] = list.host
      long[#long + 1] = text(list.class)
    end
  end
end

-- Most of the work of all scripts is done here: names are looked up once, keys made once for each host, and a host that
-- no new link leads to is not even read.
local call, args, bucket_of, plain = redis.call, ARGV, p .. 'u:', { ['0'] = 0, ['1'] = 1, ['2'] = 2 }
local news, found = {}, {}
-- One less of what is counted, if there is one.
local left = {}
local function take_back(name)
  left[name] = left[name] or tonumber(call('HGET', p .. 'm', name)) or 0
  if left[name] > 0 then
    left[name] = left[name] - 1
    count(name, -1)
  end
end
for _ = 1, number() do
  local host, dlen = take_host()
  local new = { host = host, dlen = dlen }
  for _ = 1, number() do
    local flags, bucket, member, element = args[at], args[at + 1], args[at + 2], args[at + 3]
    at = at + 4
    local class, is_known = plain[flags], nil
    if class then
      is_known = call('SADD', bucket_of .. bucket, member) == 0
    elseif string.sub(flags, 2, 2) == 'a' then
      class = tonumber(string.sub(flags, 1, 1))
      new.again = (new.again or 0) + 1
      if call('SADD', bucket_of .. bucket, member) == 0 then
        -- It counts anew below.
        count('known', -1)
        take_back('done')
        if string.sub(flags, 3, 3) == 'k' then take_back('kept') end
      end
    else
      class = tonumber(string.sub(flags, 1, 1))
      local seed, force = string.find(flags, 's', 2, true), string.find(flags, 'f', 2, true)
      local url = take()
      local stored = call('HGET', p .. 'x', url)
      is_known = stored ~= false
      if not stored or (seed and stored == '0') then call('HSET', p .. 'x', url, seed and '1' or '0') end
      if not (force and is_known) then
        local added = call('SADD', bucket_of .. bucket, member)
        if not force then is_known = added == 0 end
      end
    end
    if not is_known then
      new[#new + 1] = class
      new[#new + 1] = element
    end
  end
  news[#news + 1] = #new / 2
  if #new > 0 then
    found[#found + 1] = new
    needed[#needed + 1] = host
  end
end
load(needed)

local touched = {}
for _, new in ipairs(found) do
  local host, lists = new.host, {}
  local rec = recs[host] or new_rec(new.dlen)
  recs[host], dirty[host] = rec, true
  if new.again then
    rec.done = math.max(rec.done - new.again, 0)
    if shs[host].unreached > 0 then
      shs[host].unreached = 0
      sh_dirty[host] = true
    end
  end
  local q = rec.q
  for i = 1, #new, 2 do
    local class = new[i]
    if q[1] + q[2] + q[3] == 0 then
      touched[#touched + 1] = host
      if q[4] == 0 then
        count('active', 1)
        if rec.ends == 0 then
          -- It was idle: it takes its place behind those that have waited longer.
          local sh = shs[host]
          sh.next_ok = math.max(sh.next_ok, now)
          sh_dirty[host] = true
        end
      end
    end
    q[class + 1] = q[class + 1] + 1
    if q[class + 1] > queue_max and not is_cold(rec, class) then
      make_cold(host, rec, class)
      lists[class] = nil
    end
    local list = lists[class]
    if not list then
      list = list_of(host, rec, class)
      lists[class] = list
    end
    list[#list + 1] = new[i + 1]
  end
  count('queued', #new / 2)
  count('known', #new / 2)
end
flush()
for _, host in ipairs(touched) do
  if recs[host].ends == 0 then reschedule(host, recs[host]) end
end

for _ = 1, number() do
  local host, dlen = take_host()
  local https, port, record = take(), take(), take()
  local rec = recs[host] or new_rec(dlen)
  recs[host] = rec
  local origin = struct.pack('<BI2', tonumber(https), tonumber(port))
  local is_there = false
  for i = 1, #rec.robots, 3 do is_there = is_there or string.sub(rec.robots, i, i + 2) == origin end
  if not is_there and #rec.robots < 255 * 3 then
    rec.robots = rec.robots .. origin
    dirty[host] = true
  end
  redis.call('HSET', p .. 'R', host .. '|' .. https .. '|' .. port, record)
end

local settled, closed = {}, {}
local function close(host, rec)
  local alone, token = rec.alone, rec.token
  if close_if_finished(host, rec) and alone == 1 then
    closed[#closed + 1] = host
    closed[#closed + 1] = text(token)
  end
end

local function settle(host, token, position, fate, kept, bytes, tries, wait)
  local rec = recs[host]
  if not rec or rec.token ~= token then return 'F' end
  if rec.ends == 0 then return 'D' end
  local as = string.sub(rec.marks, position + 1, position + 1)
  if as == '' or (as == '2' and rec.handed ~= 65535 and position >= rec.handed) then return 'F' end
  if as ~= '0' then return 'D' end
  if fate == 'B' then
    mark(rec, position, '2')
    dirty[host] = true
  elseif fate == 'D' then
    mark(rec, position, '1')
    left_queue(host, rec, rec.class)
    rec.done = rec.done + 1
    count('done', 1)
    count('kept', kept)
    count('bytes', bytes)
  else
    local element = element_at(host, rec, position)
    if rec.class == 3 then element = string.sub(element, 5) end
    element = with_tries(element, tries)
    mark(rec, position, '1')
    left_queue(host, rec, rec.class)
    if tries >= tries_max then
      give_up(host, rec, token, element)
    else
      if total(rec) == 0 then count('active', 1) end
      rec.q[4] = rec.q[4] + 1
      count('queued', 1)
      redis.call('ZADD', queue(3, host), after(0, wait / 1000), struct.pack('>I4', rec.pushed) .. element)
      rec.pushed = (rec.pushed + 1) % 4294967296
    end
  end
  close(host, rec)
  return 'A'
end
for _ = 1, number() do
  local host = take_host()
  local token, position, fate = number(), number(), take()
  local kept, bytes, tries, wait = number(), number(), number(), number()
  settled[#settled + 1] = settle(host, token, position, fate, kept, bytes, tries, wait)
end

local extended = {}
for _ = 1, number() do
  local host = take_host()
  local token = number()
  local rec = recs[host]
  local ok = rec and rec.token == token and rec.ends > now and rec.handed == 65535
  if ok then
    rec.ends = math.max(rec.ends, after(0, term))
    local sh = shs[host]
    sh.ends = rec.ends
    dirty[host], sh_dirty[host] = true, true
    redis.call('ZADD', p .. 'l', rec.ends, host)
    redis.call('ZADD', s .. 'd:' .. domain_of(host, rec), 'XX', rec.ends, host)
  end
  extended[#extended + 1] = ok and 1 or 0
end

local backs = {}
for _ = 1, number() do
  local host = take_host()
  local token, handed, ago = number(), number(), number()
  local back = 0
  local rec = recs[host]
  if rec and rec.token == token and rec.ends > 0 and rec.handed == 65535 then
    local sh = shs[host]
    rec.handed = math.min(handed, 65534)
    for position = handed, #rec.marks - 1 do
      if string.sub(rec.marks, position + 1, position + 1) == '0' then
        mark(rec, position, '2')
        back = back + 1
      end
    end
    rec.ends = math.max(rec.ends, after(0, term))
    if sh.token == token then
      sh.ends = rec.ends
      redis.call('ZADD', s .. 'd:' .. domain_of(host, rec), 'XX', rec.ends, host)
    end
    if ago >= 0 then sh.next_ok = math.max(sh.next_ok, after(ago, math.max(ours, sh.learned))) end
    dirty[host], sh_dirty[host] = true, true
    redis.call('ZADD', p .. 'l', rec.ends, host)
    close(host, rec)
  end
  backs[#backs + 1] = back
end

for _ = 1, number() do
  local host = take_host()
  local delay, rest = number(), number()
  local unreached, refused, last = number(), number(), number()
  local rec, sh = recs[host], shs[host]
  if rec then
    if delay >= 0 then sh.learned = math.min(delay, 4294967295) end
    if rest >= 0 then sh.next_ok = math.max(sh.next_ok, after(0, rest)) end
    if unreached >= 0 then sh.unreached, sh.refused, sh.last = unreached, refused, last end
    sh_dirty[host] = true
    if rec.ends == 0 then reschedule(host, rec) end
  end
end
save()
-- Whoever holds several leases hears that another node has none.
local hungry = (tonumber(crawl[2]) or 0) > now and 1 or 0
return { text(now_us), news, settled, extended, closed, backs, long, hungry }
