"""What runs in the containers of docker-compose.yaml and nowhere else."""
