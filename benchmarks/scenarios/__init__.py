"""One module for each row of the table. Each has TITLE, TARGET (as text) and `run(bench) -> Row`."""

ORDER = (
    "one_task_pairs",
    "one_task_cpu",
    "own_keys_50",
    "own_keys_1000",
    "one_key_20",
    "one_key_1000",
    "cancel_10000",
    "try_behind_renewals",
    "memory_held",
    "cpu_renewal",
    "fair_two_and_two",
    "saturated_key",
    "joiner",
)
