"""Features as SQL over raw tables, and the step that computes what is new."""
