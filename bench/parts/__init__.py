"""The parts of the bench. Each has one function, measure(plan), that yields figures."""
