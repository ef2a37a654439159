"""WHAT: frozen declarations and the YAML that fills them. Knows nothing of clocks or GPUs."""
