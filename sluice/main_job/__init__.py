"""The main job behind `make run`: services, a source, the producer, the DAG that ingests it, and a view of it all."""
