"""The compose smoke test, `make compose-test`: docker-compose.yaml brought up on a real engine, worked with, hurt and compared."""
