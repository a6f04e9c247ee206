"""The five steps of an ingest: discover, gate, process, publish, deliver. Airflow and the command line call the same functions."""
