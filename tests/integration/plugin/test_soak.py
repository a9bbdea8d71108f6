"""A session that repeats its scenarios uses no more resources than one that runs them once."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from forked_programs import Program
from paths import HELPERS
from repeating import after_each_time, read_samples
from scenario_texts import TINY

TIMES = 5
# Different kinds: packed and standard, another algorithm, clients that drop out.
SCENARIOS = {
    "packed": TINY,
    "standard": TINY.replace("local_epochs: 2", "execution: standard"),
    "scaffold": TINY.replace("local_epochs: 2", "algorithm: scaffold"),
    "dropout": TINY.replace("count: 4", "count: 6, dropout: {rate: 0.4}"),
}


@pytest.mark.slow
@pytest.mark.usefixtures("tff_programs")
def test_repeated_scenarios_use_no_more_resources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(HELPERS)!r})\npytest_plugins = ['repeating']\n"
    )
    (tmp_path / "scenarios").mkdir()
    for name, text in SCENARIOS.items():
        text = text.replace("name: tiny", f"name: {name}").replace("at_least: 0.3", "at_least: 0.1")
        (tmp_path / "scenarios" / f"{name}.yaml").write_text(text)
    monkeypatch.setenv("SOAK_REPEAT", str(TIMES))
    monkeypatch.setenv("SOAK_LOG", str(tmp_path / "log"))
    program = Program("pytest", "-p", "no:cacheprovider", cwd=tmp_path)
    output = program.communicate(timeout=500)
    assert f"{TIMES * len(SCENARIOS)} passed" in output, output
    (samples,) = read_samples(tmp_path / "log").values()
    digests = defaultdict(set)
    for sample in samples:
        digests[sample.scenario].add(sample.digest)
    assert {name: len(found) for name, found in digests.items()} == dict.fromkeys(digests, 1)
    second, *later = after_each_time(samples, TIMES)[1:]
    for sample in later:
        assert sample.descriptors <= second.descriptors
        assert sample.processes == second.processes == 1
        assert sample.threads <= second.threads + 2  # TensorFlow's pools start threads when needed
        assert sample.pytest_mb < 1.1 * second.pytest_mb
        assert sample.worker_mb < 1.5 * second.worker_mb
