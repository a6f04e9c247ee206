"""What `make bench` runs: our own figures, and those of the peers on the same files and machine."""
