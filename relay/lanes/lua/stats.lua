-- ARGV: now, lane, …   Returns for each: queue, concurrency, rate count, rate period, state, reason, waiting, in flight,
-- dead, when the first goes at the earliest ('' = nothing waits), since when it is stopped ('' = it isn't), how many at most
-- while it gets going (0 = as its limits say), how an operator's limits came about, how many wait that are due.
local now = clock(ARGV[1])
local rows = {}
for i = 2, #ARGV do
  local lane = ARGV[i]
  local v = call('HMGET', P .. 'l:' .. lane, 'q', 'c', 'rn', 'rp', 'paused', 'reason', 'since', 'br', 'bsince', 'why',
                 'wait', 'ramp', 'by')
  local waits = tonumber(v[11] or 0)
  local state, reason, since = v[5] or '', v[6] or '', v[7] or ''
  if state == '' then
    since = v[8] and v[9] or ''
    reason = (v[8] or waits > now) and v[10] or ''
    state = v[8] and 'breaker' or ''
  end
  local head = first_due(lane)
  local first, tried = P .. 'd:' .. lane, P .. 't:' .. lane
  rows[i - 1] = {
    v[1] or '', tonumber(v[2] or 0), tonumber(v[3] or 0), tonumber(v[4] or 0), state, reason,
    call('ZCARD', first) + call('ZCARD', tried) + call('HLEN', P .. 'b:' .. lane), call('HLEN', P .. 'f:' .. lane),
    call('HLEN', P .. 'x:' .. lane), head and int(math.max(head, waits)) or '', since, tonumber(v[12] or 0), v[13] or '',
    call('ZCOUNT', first, '-inf', int(now)) + call('ZCOUNT', tried, '-inf', int(now)),
  }
end
return rows
