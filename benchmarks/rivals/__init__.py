"""One module a rival: `prepare(case, cell)` makes ready outside the timing and returns `answer(stop)`."""
