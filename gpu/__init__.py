"""Pictures and frames from plain requests. Knows nothing of campaigns, Prefect or the catalog."""
