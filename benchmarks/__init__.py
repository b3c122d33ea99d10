"""What `make bench` runs: every figure the project promises, as a ratio measured in one run.

`python -m benchmarks --help` explains the options. Each module of `benchmarks.scenarios` is one row of the
table; `benchmarks.floors` holds what the product is compared with at its best, a blocking C loop and a bare
protocol on the same event loop; `benchmarks.locks` opens the peers. Importing this package needs the standard
library alone, so that the processes of aioredlock-py, which want Python 3.10, can use it too.
"""
