#!lua flags=no-writes
-- Answers the version in force and its configuration; nothing where there is none.
-- KEYS: 1 {argiope}:c<c>, 2 {argiope}:c<c>:conf.
local version = redis.call('HGET', KEYS[1], 'version')
if not version then
  return nil
end
return { tonumber(version), redis.call('HGET', KEYS[2], version) }
