#!lua
-- Forgets a node, if it is this process.
-- KEYS: 1 {argiope}:nodes, 2 {argiope}:n:<node>. ARGV: node, process.
local status = redis.call('GET', KEYS[2])
if status and string.sub(status, 1, #ARGV[2]) ~= ARGV[2] then
  return 0
end
redis.call('DEL', KEYS[2])
return redis.call('ZREM', KEYS[1], ARGV[1])
