"""What `make bench-sales` runs: a day of sales through Sluice, through Spark with JDBC, and through DuckDB."""
