-- Whether this lease may still send: then when it ends, in ms, else 0. ARGV: crawl, host, token.
local host = ARGV[2]
load({ host })
local rec = recs[host]
if rec and rec.token == tonumber(ARGV[3]) and rec.ends > now and rec.handed == 65535 then
  return { text(rec.ends), text(now) }
end
return { '0', text(now) }
