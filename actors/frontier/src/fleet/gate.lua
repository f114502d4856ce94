#!lua
-- Makes a shard's gate where there is none.
-- KEYS: 1 {sN}:m. ARGV: schema.
redis.call('HSETNX', KEYS[1], 'v', ARGV[1])
return redis.call('HSETNX', KEYS[1], 'st', 'run')
