"""The parts of the benchmark runner that are not a workload."""
