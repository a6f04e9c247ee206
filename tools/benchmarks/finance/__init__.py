"""What `make bench-finance` runs: stocks and mutual funds through Sluice, through one batch of PySpark, and through DuckDB."""
