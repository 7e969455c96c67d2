-- One plain command that has to go through when the store is full too. ARGV: now, its words
return call(unpack(ARGV, 2))
