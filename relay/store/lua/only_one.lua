-- ARGV: now, task, for how long (ms).   Returns 1 for one caller in that time.
return call('SET', R .. 'only:' .. ARGV[2], '1', 'NX', 'PX', ARGV[3]) and 1 or 0
