"""The embedded services: PostgreSQL, an S3 server, Spark Connect and Airflow, as processes of the user under one state directory.

Read `supervisor.py` first: it says what `sluice up` does. Each service is one class in one file; `state.py` holds what they share
(paths, ports, passwords) and `process.py` how a detached process is started, recognised again and stopped.
"""
