-- What a worker holds waits again. ARGV: now, worker, '1' where it died or '0' where it ends in order. Returns how many.
return take_back(ARGV[2], clock(ARGV[1]), ARGV[3])
