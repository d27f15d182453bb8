"""Telling people what a run came upon: who hears of it, what is said, and how it is sent. No value of a row is told."""
