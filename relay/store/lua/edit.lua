-- Keeps a new body for a delivery beside the original. ARGV: now, delivery, who and when (JSON), packed body, audit entry
-- Returns the number of the edit, or 0 where there is no such delivery.
local id = ARGV[2]
local key = R .. 'd:' .. id
if call('EXISTS', key) == 0 then return 0 end
local number = call('HINCRBY', key, 'edits', 1)
call('HSET', key, 'edit:' .. number, ARGV[3], 'eb:' .. number, ARGV[4])
call('XADD', R .. 'audit', 'MAXLEN', '~', 100000, '*', 'j', ARGV[5])
return number
