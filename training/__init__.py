"""What we learned: training sets, models, their evaluation, the gate and the registry."""
