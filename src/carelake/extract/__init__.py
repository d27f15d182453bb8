"""Data sets made for a recipient outside: what leaves, how each value is treated, and the evidence of both."""
