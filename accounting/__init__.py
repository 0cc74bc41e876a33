"""Pure arithmetic on plain values: records, counters, latency, acceptance, prices, cost, comparison.

No input or output, no clock, no randomness that is not passed in. Everything here can be recomputed from
files, so the same functions serve the benchmark, re-pricing and the report.
"""
