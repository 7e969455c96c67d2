-- What a worker holds waits again: the worker is known to be dead. ARGV: now, worker. Returns how many.
return take_back(ARGV[2], clock(ARGV[1]))
