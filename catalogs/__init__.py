"""The store of finished work and the DuckDB index over it. Knows nothing of models or Prefect."""
