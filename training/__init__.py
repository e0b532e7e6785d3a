"""What we learned: training sets, models, their evaluation, the gate and the registry."""

import feature_repo as feature_repo  # before numpy: it says which kernels add up sums
