"""The embedded models: what they know, how their world is rendered, how they were trained."""
