#!lua
-- Books slots in the cluster's rate and in the crawl's, in both or in none. The same as gcra.rs, in the same order;
-- what each step is for is said there. Times in microseconds of the server's clock, steps in nanoseconds.
-- KEYS: 1 {rate}:all, 2 {rate}:c<c>.
-- ARGV: schema, want, weight, last, share, ahead, chunk.
-- Reply: now, version of both; then, where a rate limits: granted, start, step, booked, booked step, share.
-- Nil where a rate was never set.
local EPOCH, LEAD_MAX, BURST_TIME_MAX, SHARE_STEP_MAX = 1e6, 1e6, 3.6e9, 1e12
local schema, want, weight = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local last, share, ahead, chunk = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local min, max, floor, ceil = math.min, math.max, math.floor, math.ceil

local time = redis.call('TIME')
local now = time[1] * 1e6 + time[2]
local epoch = floor(now / EPOCH)

local versions, meters = {}, {}
for k = 1, 2 do
  local row = redis.call('HMGET', KEYS[k], 'v', 'version', 'rate', 'burst', 'tat', 'epoch', 'askers', 'before')
  if not row[1] then return false end
  if tonumber(row[1]) > schema then return redis.error_reply('ERR schema ' .. row[1] .. ' of ' .. KEYS[k]) end
  for i = 1, 8 do row[i] = tonumber(row[i]) or 0 end
  versions[k] = row[2]
  if row[3] > 0 then
    local m = { key = KEYS[k], cost = ceil(3.6e12 / row[3]) * weight, burst = row[4], tat = row[5],
      epoch = row[6], askers = row[7], before = row[8] }
    if want > 0 then
      if m.epoch ~= epoch then
        m.before = m.epoch + 1 == epoch and m.askers or 0
        m.epoch, m.askers = epoch, 0
      end
      if floor(last / EPOCH) ~= epoch then m.askers = m.askers + 1 end
    end
    meters[#meters + 1] = m
  end
end
if #meters == 0 then return { now, versions[1], versions[2] } end

local start, step, share_step, booked, booked_step = 0, 0, 0, math.huge, math.huge
for _, m in ipairs(meters) do
  local back = min(floor((max(m.burst, 1) - 1) * m.cost / 1e3), BURST_TIME_MAX)
  m.from = min(max(m.tat, max(now - back, 0)), now + LEAD_MAX + ceil(m.cost / 1e3))
  start, step = max(start, m.from), max(step, m.cost)
  booked, booked_step = min(booked, m.from), min(booked_step, m.cost)
  share_step = max(share_step, min(m.cost * max(m.askers, m.before, 1), SHARE_STEP_MAX))
end

local mark
if share == 0 then
  mark = max(now - floor(ahead / 4), 0)
else
  mark = min(max(share, now - chunk - ceil(share_step / 1e3), 0), now + ahead)
end
local own = floor(max(now - mark, 0) * 1e3 / share_step)
local function before(till) return ceil(max(till - start, 0) * 1e3 / step) end
local granted = min(want, max(min(own, before(now + ahead)), before(now + floor(ahead / 2))))

for _, m in ipairs(meters) do
  if want > 0 then
    local tat = granted > 0 and m.from + ceil(granted * m.cost / 1e3) or m.tat
    redis.call('HSET', m.key, 'tat', string.format('%.0f', tat), 'epoch', string.format('%.0f', m.epoch),
      'askers', m.askers, 'before', m.before)
  end
end
share = mark + min(ceil(granted * share_step / 1e3), now + ahead - mark)
return { now, versions[1], versions[2], granted, start, step, booked, booked_step, share }
