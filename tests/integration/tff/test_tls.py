"""Workers that other machines can reach serve only those who have their key file."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import portpicker
import pytest
from addresses import of_loopback, of_the_network, reachable
from processes import is_running, wait_until
from pytest_federated.__main__ import main
from pytest_federated.core.errors import FederatedError, RuntimeUnavailable
from pytest_federated.tff import health, port, tls
from pytest_federated.tff.context import shutdown
from remote_workers import Served, assert_same, local, train
from scenario_texts import TINY

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="makes certificates")


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The key file that `served` created."""
    return tmp_path_factory.mktemp("keys") / "workers.pem"


@pytest.fixture(scope="module")
def served(tff: object, key_file: Path) -> Iterator[Served]:
    started = Served(tls=key_file)
    assert started.process.stdout
    line = started.process.stdout.readline()
    assert line == f"made {key_file}: have a copy wherever pytest runs, and keep it secret\n"
    yield started.ready()
    shutdown()
    started.end()


def another(folder: Path, name: str = tls.NAME) -> tuple[str, str]:
    """Returns a new private key and its certificate, issued to a name."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tls, "NAME", name)
        tls.create_key_file(path := folder / f"{name}.{len(list(folder.iterdir()))}.pem")
    key, certificate = tls._read(path)
    return key.decode(), certificate.decode()


def certificate_of(path: Path) -> str:
    return tls._read(path)[1].decode()


def refused(addresses: tuple[str, ...], key_file: Optional[Path]) -> str:
    with pytest.raises(RuntimeUnavailable) as error:
        health.require_answers(addresses, key_file)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_client_with_the_key_file_gets_the_local_numbers(served: Served) -> None:
    assert served.said == (
        f"TFF worker ready on port {served.port} of all addresses of this machine, "
        f"for those who have {served.tls}\n"
    )
    assert served.tls and served.tls.stat().st_mode & 0o777 == 0o600
    assert_same(train([served], "packed"), local("packed"))


@pytest.mark.slow
def test_pytest_uses_the_key_file_of_its_options(pytester: pytest.Pytester, served: Served) -> None:
    before = served.cpu_seconds()
    pytester.makeini(f"[pytest]\nfed_workers = {served.address}\nfed_workers_tls = a.pem\n")
    shutil.copy(str(served.tls), pytester.path / "a.pem")
    pytester.mkdir("scenarios").joinpath("a.yaml").write_text(TINY)
    pytester.runpytest_inprocess("scenarios", "-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert served.cpu_seconds() > before + 0.05
    (pytester.path / "a.pem").unlink()
    done = pytester.runpytest_inprocess("scenarios", "-p", "no:cacheprovider")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: *a.pem cannot be read: No such file or directory"])


def test_all_addresses_lead_to_the_gate_and_none_to_the_worker(served: Served) -> None:
    everywhere = [*of_loopback(), *of_the_network()]
    assert reachable(served.port, everywhere) == set(everywhere)
    command = Path(f"/proc/{served.worker}/cmdline").read_text()
    (its,) = re.findall(r"--port=([0-9]+)", command)
    assert reachable(int(its), everywhere) == set()


def test_a_client_without_tls_is_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "START_SECONDS", 0.5)
    assert refused((served.address,), None) == (
        f"1 of 1 remote workers cannot be used: {served.address}: it asks for TLS "
        "(--fed-workers-tls FILE) (start them with: pytest-federated worker --port N)"
    )


def test_a_client_with_another_certificate_is_refused(served: Served, tmp_path: Path) -> None:
    (mine := tmp_path / "mine.pem").write_text("".join(another(tmp_path)))
    assert refused((served.address,), mine) == (
        f"1 of 1 remote workers cannot be used: {served.address}: "
        f"its certificate does not agree with {mine}: self-signed certificate"
    )
    mine.write_text(mine.read_text() + certificate_of(served.tls or mine))  # now it trusts theirs
    assert refused((served.address,), mine) == (
        f"1 of 1 remote workers cannot be used: {served.address}: "
        f"it does not accept the certificate of {mine}"
    )


def test_a_worker_without_tls_is_refused(tff: object, key_file: Path) -> None:
    plain = Served().ready()
    try:
        assert refused((plain.address,), key_file) == (
            f"1 of 1 remote workers cannot be used: {plain.address}: "
            "it does not speak TLS (pytest-federated worker --tls FILE)"
        )
    finally:
        plain.end()


def test_each_machine_may_have_its_own_certificate(tff: object, tmp_path: Path) -> None:
    """Each side trusts the other's certificate; a shared authority would do as well."""
    theirs, ours = another(tmp_path), another(tmp_path)
    strange = another(tmp_path, "example.org")
    (there := tmp_path / "there").write_text("".join((*theirs, ours[1], strange[1])))
    (here := tmp_path / "here").write_text("".join((*ours, theirs[1])))
    (wrong := tmp_path / "wrong").write_text("".join((*strange, theirs[1])))
    served = Served(tls=there).ready()
    try:
        assert not health.silent([served.address], 10, here)
        # It is trusted, but issued to somebody else.
        assert "it does not accept the certificate" in refused((served.address,), wrong)
    finally:
        served.end()


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN PRIVATE KEY-----\n", "\xff"])
def test_a_file_that_is_no_key_file_is_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.pem"
    path.write_text(text)
    number = portpicker.pick_unused_port()
    assert main(["worker", "--port", str(number), "--tls", str(path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{path} is no key file: it must hold one private key") and (
        said.count("\n") == 1
    )
    with pytest.raises(FederatedError, match="is no key file"):
        health.require_answers(("localhost:1",), path)


def test_a_key_that_does_not_match_the_certificate_is_refused(tmp_path: Path) -> None:
    (path := tmp_path / "a.pem").write_text(another(tmp_path)[0] + another(tmp_path)[1])
    with pytest.raises(FederatedError, match="cannot be used: KEY_VALUES_MISMATCH"):
        tls.server_context(path)


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    (path := tmp_path / "a.pem").write_text("precious")
    with pytest.raises(FederatedError, match="cannot be written: File exists"):
        tls.create_key_file(path)
    assert path.read_text() == "precious"


def test_without_openssl_no_key_file_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FederatedError, match="openssl, which would make it, is missing"):
        tls.create_key_file(tmp_path / "a.pem")


def test_a_system_that_keeps_nobody_out_is_refused(
    tff: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(port, "_SO_ATTACH_REUSEPORT_CBPF", 9999)  # an option that is unknown
    assert main(["worker", "--port", str(portpicker.pick_unused_port())]) == 1
    assert capsys.readouterr().err == (
        "this system cannot keep others from TFF's worker, which asks for no password "
        "(docs/security.md); --insecure starts it all the same\n"
    )


def test_everybody_is_admitted_only_on_request(tff: object) -> None:
    served = Served(None, "--insecure").ready()
    try:
        assert "of all addresses of this machine, for everybody\n" in served.said
        everywhere = [*of_loopback(), *of_the_network()]
        assert reachable(served.port, everywhere) == set(everywhere)
    finally:
        served.end()


def test_tls_and_insecure_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["worker", "--port", "1", "--tls", "a.pem", "--insecure"])
    assert end.value.code == 2
    assert "--tls and --insecure exclude each other" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(key_file: Path, served: Served) -> None:
    again = Served(served.port, tls=key_file)
    _, errors = again.process.communicate(timeout=150)
    assert errors == f"port {served.port} cannot be used: Address already in use\n"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_command_ends_with_its_worker(
    tff: object, tmp_path: Path, sent: signal.Signals
) -> None:
    started = Served(tls=tmp_path / "a.pem")
    assert started.process.stdout and started.process.stdout.readline()
    started.ready()
    started.process.send_signal(sent)
    _, errors = started.process.communicate(timeout=150)
    assert started.process.returncode == (-9 if sent == signal.SIGKILL else 0)
    assert errors == ""
    assert wait_until(lambda: not is_running(started.worker))
