"""HTTP by noun: parse, call one verb of `domain`, shape the answer."""
