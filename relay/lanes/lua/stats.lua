-- ARGV: lane, …   Returns for each: queue, concurrency, rate count, rate period, state, reason, waiting, in flight,
-- dead, when the first is due ('' = nothing waits).
local rows = {}
for i, lane in ipairs(ARGV) do
  local v = call('HMGET', P .. 'l:' .. lane, 'q', 'c', 'rn', 'rp', 'paused', 'reason')
  local head = call('ZRANGE', P .. 'd:' .. lane, 0, 0, 'WITHSCORES')
  rows[i] = {v[1] or '', tonumber(v[2] or 0), tonumber(v[3] or 0), tonumber(v[4] or 0), v[5] or '', v[6] or '',
             call('ZCARD', P .. 'd:' .. lane) + call('HLEN', P .. 'b:' .. lane), call('HLEN', P .. 'f:' .. lane),
             call('HLEN', P .. 'x:' .. lane), head[2] or ''}
end
return rows
