-- Whose turn a task is. ARGV: now, task, owner, for how long (ms)
-- Returns 1 where it is the owner's, who has it for as long again; 0 where it is another's.
local key = R .. 'only:' .. ARGV[2]
if (call('GET', key) or ARGV[3]) ~= ARGV[3] then return 0 end
call('SET', key, ARGV[3], 'PX', ARGV[4])
return 1
