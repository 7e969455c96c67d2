-- Which format the data has. ARGV: now, the one that a new store gets, the one whose step has just been done (-1 = none)
local key = R .. 'format'
local found = tonumber(call('GET', key) or -1)
if found < 0 then
  found = call('EXISTS', R .. 'x:e', R .. 'remembered', R .. 'force', R .. 'stats') == 0 and tonumber(ARGV[2]) or 0
  call('SET', key, found)
end
if found == tonumber(ARGV[3]) then
  found = found + 1
  call('SET', key, found)
end
return found
