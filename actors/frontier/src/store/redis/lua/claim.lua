-- Leases hosts that are due: reads their first URLs, moves nothing. First ends the leases whose time is over.
-- ARGV: crawl, hosts at most, URLs of each, lease ms, our delay ms, grace ms, leases of a domain at most (-1: any),
-- tries at most, 1 if a suspect may be leased, URLs in all at most (-1: any), the suspect of this shard whose lease the asker holds (empty: none), and its token, URLs that the head of a cold queue
-- should have, URLs of a chunk, 1 if the asker holds no lease of the crawl at all, ms for which it waits then.
local hosts_max, urls_max = tonumber(ARGV[2]), tonumber(ARGV[3])
local term, ours, grace = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local domain_max, tries_max = tonumber(ARGV[7]), tonumber(ARGV[8])
local low, chunk = tonumber(ARGV[13]), tonumber(ARGV[14])
local suspects, allowance = ARGV[9] == '1', tonumber(ARGV[10])
local crawl = redis.call('HMGET', p .. 'm', 'st', 'hungry')
if crawl[1] ~= 'run' then return redis.error_reply('PAUSED the crawl is paused') end
-- While a node that holds nothing waits here, those that hold something are granted no more.
local is_hungry, hunger = ARGV[15] == '1', tonumber(crawl[2]) or 0
local is_served = is_hungry or hunger <= now

-- 1. Leases that ran out. At the second in a row a host becomes a suspect; the head of a suspect's lease is to blame.
local expired = {}
local ended = redis.call('ZRANGE', p .. 'l', '-inf', now, 'BYSCORE', 'LIMIT', 0, 256)
load(ended)
for _, host in ipairs(ended) do
  local rec, sh = recs[host], shs[host]
  expired[#expired + 1] = host
  expired[#expired + 1] = text(rec.token)
  expired[#expired + 1] = text(open_of(rec.marks))
  local blamed = false
  if rec.alone == 1 then
    local position = string.find(rec.marks, '0', 1, true)
    if position then
      blamed = true
      local stored = element_at(host, rec, position - 1)
      local head, element = '', stored
      if rec.class == 3 then head, element = string.sub(stored, 1, 4), string.sub(stored, 5) end
      local tries = string.byte(element, tries_at(element)) + 1
      element = with_tries(element, math.min(tries, 255))
      if tries >= tries_max then
        mark(rec, position - 1, '1')
        left_queue(host, rec, rec.class)
        give_up(host, rec, rec.token, element)
      elseif rec.class == 3 then
        local score = redis.call('ZSCORE', queue(3, host), stored)
        redis.call('ZREM', queue(3, host), stored)
        redis.call('ZADD', queue(3, host), score, head .. element)
      else
        redis.call('LSET', queue(rec.class, host), position - 1, element)
      end
    end
  end
  if rec.failures > 0 then rec.suspect = 1 end
  rec.failures = math.min(rec.failures + 1, 255)
  if sh.token == rec.token then
    sh.token = math.max(sh.token + 1, now_us)
    sh.ends, sh.crawl = 0, 0
    sh.next_ok = math.max(sh.next_ok, after(0, math.max(ours, sh.learned)))
  end
  if blamed then sh.next_ok = math.max(sh.next_ok, after(0, 2000 * rec.failures)) end
  rec.token = sh.token
  lease_over(host, rec)
end

-- The asker may not know yet that its suspect's lease is over: the answer that said so was lost, or went to another node.
if ARGV[11] ~= '' then
  load({ ARGV[11] })
  local rec = recs[ARGV[11]]
  if not rec or rec.ends == 0 or rec.token ~= tonumber(ARGV[12]) then
    suspects = true
    expired[#expired + 1] = ARGV[11]
    expired[#expired + 1] = ARGV[12]
    expired[#expired + 1] = '0'
  end
end

-- 2. New leases.
-- Chunks that the asker is to put back into their queues; where one is missing for a lease, the answer ends before it.
local thin, is_missing = {}, false
-- Sees to it that a cold queue has its head; false if that takes a chunk first.
local function head_is_there(host, rec, class, most)
  local there = redis.call('LLEN', queue(class, host))
  if there >= math.max(low, most) then return true end
  local packed = redis.call('LINDEX', chunks(class, host), 0)
  if packed then
    thin[#thin + 1] = { host, text(class), text(rec.cut), packed }
    return there >= most
  end
  repeat
    local some = redis.call('LPOP', tail(class, host), chunk)
    if some then
      there = redis.call('RPUSH', queue(class, host), unpack(some))
      cut(host, rec)
    end
  until not some or there >= math.max(low, most)
  warm(host, rec, class)
  return true
end

local function grant(host, rec)
  local sh = shs[host]
  if sh.ends > now and sh.crawl ~= tonumber(ARGV[1]) then
    -- Another crawl's: wait for it; its end calls us sooner.
    local me = struct.pack('<I4', tonumber(ARGV[1]))
    local known = false
    for at = 1, #sh.waiters, 4 do known = known or string.sub(sh.waiters, at, at + 3) == me end
    if not known and #sh.waiters < 255 * 4 then
      sh.waiters = sh.waiters .. me
      sh_dirty[host] = true
    end
    redis.call('ZADD', rec.suspect == 1 and p .. 'zs' or p .. 'z', sh.ends, host)
    return nil
  end
  others_over(host, sh, ours)
  if sh.next_ok > now or sh.kept > now then
    schedule(host, rec)
    return nil
  end
  local domain = domain_of(host, rec)
  if domain_max >= 0 then
    redis.call('ZREMRANGEBYSCORE', s .. 'd:' .. domain, '-inf', now)
    if redis.call('ZCARD', s .. 'd:' .. domain) >= domain_max then
      -- The domain has its fill: called when a lease of it ends, and comes back by itself at the first end.
      local at = due(host, rec)
      local first = redis.call('ZRANGE', s .. 'd:' .. domain, 0, 0, 'WITHSCORES')
      if at and first[2] then
        redis.call('ZADD', s .. 'w:' .. domain, at, ARGV[1] .. '|' .. host)
        redis.call('ZADD', rec.suspect == 1 and p .. 'zs' or p .. 'z', first[2], host)
      end
      return nil
    end
  end
  local retry = rec.q[4] > 0 and (first_retry(host) or math.huge) <= now
  local class = nil
  if retry and rec.leases % 8 == 7 then class = 3 end
  for fresh = 0, 2 do
    if not class and rec.q[fresh + 1] > 0 then class = fresh end
  end
  if not class and retry then class = 3 end
  if not class then
    schedule(host, rec)
    return nil
  end
  local delay = math.max(ours, sh.learned)
  local most = math.max(1, math.floor(term / (delay + 500)))
  if rec.failures > 0 then most = 1 end
  most = math.min(most, urls_max)
  if allowance >= 0 then most = math.min(most, allowance) end
  local urls
  if class == 3 then
    urls = redis.call('ZRANGE', queue(3, host), '-inf', now, 'BYSCORE', 'LIMIT', 0, most)
    for i = 1, #urls do urls[i] = string.sub(urls[i], 5) end
  else
    if is_cold(rec, class) and not head_is_there(host, rec, class, most) then
      is_missing = true
      return nil
    end
    urls = redis.call('LRANGE', queue(class, host), 0, most - 1)
  end
  if #urls == 0 then
    -- Nothing is where the record says something is: believe the queue.
    count('queued', -rec.q[class + 1])
    rec.q[class + 1] = 0
    if total(rec) == 0 then count('active', -1) end
    dirty[host] = true
    schedule(host, rec)
    return nil
  end
  sh.token = math.max(sh.token + 1, now_us)
  sh.ends = after(0, term)
  sh.crawl = tonumber(ARGV[1])
  rec.token, rec.ends, rec.class, rec.alone, rec.handed = sh.token, sh.ends, class, rec.suspect, 65535
  rec.leases = rec.leases + 1
  rec.marks = string.rep('0', #urls)
  dirty[host], sh_dirty[host] = true, true
  unschedule(host)
  redis.call('ZADD', p .. 'l', rec.ends, host)
  if domain_max >= 0 then
    redis.call('ZADD', s .. 'd:' .. domain, rec.ends, host)
    redis.call('ZREM', s .. 'w:' .. domain, ARGV[1] .. '|' .. host)
  end
  count('leases', 1)
  count('out', #urls)
  if allowance >= 0 then allowance = allowance - #urls end
  local robots = {}
  for at = 1, #rec.robots, 3 do
    local https, port = struct.unpack('<BI2', rec.robots, at)
    robots[#robots + 1] = text(https)
    robots[#robots + 1] = text(port)
    robots[#robots + 1] = redis.call('HGET', p .. 'R', host .. '|' .. https .. '|' .. port) or ''
  end
  return { host, text(rec.token), text(delay), rec.alone, urls, robots, strikes_of(sh) }
end

local granted = {}
local last = now - grace
for _ = 1, 8 do
  if #granted >= hosts_max or urls_max == 0 or allowance == 0 or is_missing or not is_served then break end
  local most = hosts_max - #granted + 4
  local found = redis.call('ZRANGE', p .. 'z', '-inf', last, 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
  local full = #found == most * 2
  local alone = {}
  if suspects then alone = redis.call('ZRANGE', p .. 'zs', '-inf', last, 'BYSCORE', 'LIMIT', 0, 4, 'WITHSCORES') end
  if #alone > 0 then
    for _, v in ipairs(alone) do found[#found + 1] = v end
    local pairs_ = {}
    for i = 1, #found, 2 do pairs_[#pairs_ + 1] = { found[i], tonumber(found[i + 1]) } end
    table.sort(pairs_, function(a, b)
      if a[2] ~= b[2] then return a[2] < b[2] end
      return a[1] < b[1]
    end)
    for i, v in ipairs(pairs_) do found[i * 2 - 1], found[i * 2] = v[1], v[2] end
  end
  local names = {}
  for i = 1, #found, 2 do names[#names + 1] = found[i] end
  load(names)
  for _, host in ipairs(names) do
    if #granted >= hosts_max or allowance == 0 or is_missing then break end
    local rec = recs[host]
    if not rec then
      unschedule(host)
    elseif rec.suspect == 0 or suspects then
      local lease = grant(host, rec)
      if lease then
        granted[#granted + 1] = lease
        if rec.alone == 1 then suspects = false end
      end
    end
  end
  if not full then break end
end
if is_hungry then
  if #granted > 0 then
    if hunger > 0 then redis.call('HDEL', p .. 'm', 'hungry') end
  elseif hosts_max > 0 and urls_max > 0 and allowance ~= 0 and not is_missing and redis.call('EXISTS', p .. 'l') == 1 then
    -- All that is due is leased by others.
    redis.call('HSET', p .. 'm', 'hungry', text(now + tonumber(ARGV[16])))
  end
end
save()

-- When a host's turn comes or came, and when a lease ends, in us from now; empty: never.
local turn
local function first(key, from)
  local found = redis.call('ZRANGE', key, from, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  return tonumber(found[2]) or math.huge
end
local function wait(at)
  if at == math.huge then return '' end
  return text(at * 1000 - now_us)
end
local suspect, held_back = first(p .. 'zs', '-inf'), 0
if not suspects and suspect <= now then
  -- Not worth another claim before the asker may lease a suspect.
  suspect, held_back = first(p .. 'zs', '(' .. now), 1
end
turn = math.min(first(p .. 'z', '-inf'), suspect)
if not is_served then turn = math.max(turn, hunger) end
return { text(now_us), wait(turn), wait(first(p .. 'l', '-inf')), granted, expired, thin, is_missing and 1 or 0, held_back,
  is_served and 0 or 1 }
