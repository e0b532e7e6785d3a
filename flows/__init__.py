"""When it happens: Prefect flows, their deployments, the settings and the command line."""
