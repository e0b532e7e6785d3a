"""One small module per model: what it predicts, from which feature service, and what the gate asks of it."""
