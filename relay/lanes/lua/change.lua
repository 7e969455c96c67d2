-- Acts on messages that wait. ARGV: now, verb (drop, due, revive), lane, due, id, …   Returns how many.
local now, verb, lane, due = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local changed = 0
for i = 5, #ARGV do
  local id = ARGV[i]
  if verb == 'drop' then
    changed = changed + drop(lane, id)
  elseif verb == 'due' then
    if make_due(lane, id, due == '' and now or tonumber(due)) then changed = changed + 1 end
  elseif verb == 'revive' then
    local payload = call('HGET', P .. 'x:' .. lane, id)
    if payload then
      call('HDEL', P .. 'x:' .. lane, id)
      changed = changed + put(call('HGET', P .. 'l:' .. lane, 'q'), lane, id, payload, now, false)
    end
  end
end
touch(lane, now)
return changed
