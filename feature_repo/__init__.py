"""What was known when: the lake, its tables, the features on them and the way back in time.

Nothing here knows models, scores or schedules.
"""

import os
from pathlib import Path

# OpenBLAS takes the widest instructions that a processor has, so that sums are added up in another order, and a model
# fitted again is another one, on another machine. Its Haswell kernels run wherever there is AVX2. Here, because it
# looks when numpy is loaded, and everything that loads numpy has loaded this package before.
_CPU = Path("/proc/cpuinfo")
if _CPU.exists() and "avx2" in _CPU.read_text():
    os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")
