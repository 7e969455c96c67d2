-- Forgets recipes' texts that nothing names any more. ARGV: now, marked before (ms), <recipe>:<version>, …
-- One whose mark is gone or newer has been named meanwhile, and stays. Returns how many.
local gone = 0
for i = 3, #ARGV do
  local marked = call('ZSCORE', R .. 'x:unnamed', ARGV[i])
  if marked and tonumber(marked) <= tonumber(ARGV[2]) then
    call('HDEL', R .. 'versions', ARGV[i])
    call('ZREM', R .. 'x:unnamed', ARGV[i])
    gone = gone + 1
  end
end
return gone
