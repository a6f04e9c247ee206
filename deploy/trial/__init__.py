"""`make compose-test`: docker-compose.yaml brought up on a real engine, worked with, hurt, compared and taken down."""
