"""One file a stage: what it decides at plan time, and how it makes its files."""
