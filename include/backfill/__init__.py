"""Past dates: ingest what is missing of them, verify what is there, evaluate them once more in the shadow and compare."""
