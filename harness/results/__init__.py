"""What a scenario's run leaves behind, and where it is kept."""

from harness.results.record import Result, Status, Verdict
from harness.results.store import read_results, write_result

__all__ = ["Result", "Status", "Verdict", "read_results", "write_result"]
