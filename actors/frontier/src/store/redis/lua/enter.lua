#!lua
-- Counts a lease at an address until it ends. KEYS[1] '{ip:<address>}', ARGV: lease, now ms and its end ms in the time of
-- the lease's shard, leases at most. Answers 1 if it is counted now. The key dies with its last lease.
local now, ends = tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('ZADD', KEYS[1], ends, ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.max(ends - now, 1), 'NX')
redis.call('PEXPIRE', KEYS[1], math.max(ends - now, 1), 'GT')
return 1
