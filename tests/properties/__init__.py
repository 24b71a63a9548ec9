"""What holds for every input Hypothesis can think of."""
