"""Where rows come from: readers of files, mappings of their columns, and the batch that enters the lake."""
