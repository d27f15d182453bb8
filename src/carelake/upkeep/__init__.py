"""What a lake needs besides runs: to be verified, kept small, thinned out, and copied to where it can be had again."""
