-- Keeps what a vendor asked, for operators to see: it is no event, and is forgotten like one that has ended. Of each source
-- the newest are kept: strangers may ask too.
-- ARGV: now, id, source, received ms, packed request, how many are kept, the secret that it gave ('' = none), how many of
-- those are kept.   Returns how many secrets had to go for it: those used longest ago
local id, source = ARGV[2], ARGV[3]
call('HSET', R .. 'e:' .. id, 'x', ARGV[5], 'so', source, 'st', 'handshake', 'open', 0)
call('ZADD', R .. 'x:e', ARGV[4], id)
call('ZADD', R .. 'x:e:' .. source, ARGV[4], id)
call('ZADD', R .. 'x:done', ARGV[4], id)
local asked = R .. 'hs:' .. source
call('LPUSH', asked, id)
while call('LLEN', asked) > tonumber(ARGV[6]) do
  local oldest = call('RPOP', asked)
  call('UNLINK', R .. 'e:' .. oldest)
  for _, index in ipairs({'x:e', 'x:e:' .. source, 'x:done'}) do call('ZREM', R .. index, oldest) end
end
if ARGV[7] == '' then return 0 end
local key = R .. 'ks:' .. source
call('ZADD', key, ARGV[4], ARGV[7])
return call('ZREMRANGEBYRANK', key, 0, -1 - tonumber(ARGV[8]))
