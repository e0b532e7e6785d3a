"""What we say: plans, workers, publication of scores, and the watch over them."""
