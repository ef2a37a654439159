"""The DAG: campaign file -> plan -> finished deliveries, and the command that starts it."""
