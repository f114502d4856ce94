#!lua
-- Makes the deployment's facts where there are none, and answers all of them.
-- KEYS: 1 {argiope}:conf. ARGV: schema, shards, psl, canonical.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'schema', ARGV[1], 'shards', ARGV[2], 'psl', ARGV[3], 'canonical', ARGV[4])
end
return redis.call('HGETALL', KEYS[1])
