"""The SIGKILL proof: a real process, real kills, and records that are not ours to count by."""
