-- The time in the shard, in us. ARGV: crawl.
return text(now_us)
