"""Channels to remote workers, and whether a worker answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from pytest_federated.core.errors import RuntimeUnavailable
from pytest_federated.tff.calls import CHANNEL_OPTIONS
from pytest_federated.tff.imports import keep_grpc_out_of_forks
from pytest_federated.tff.internals import PING_METHOD
from pytest_federated.tff.tls import channel_arguments, refusal

START_SECONDS = 10
_TLS_SECONDS = 2  # for a worker that does not answer to say what it thinks of TLS
_QUICK = [
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A new channel connects at once, and does not wait for the attempt of another that is lost.
    ("grpc.use_local_subchannel_pool", 1),
]


def open_channel(address: str, tls: Optional[Path] = None) -> Any:
    """Returns a gRPC channel to ``host:port``, encrypted where there is a key file.

    Raises:
        FederatedError: the file is no key file.

    """
    keep_grpc_out_of_forks()
    import grpc

    # With the scheme, as gRPC would take the host of "dns:8000" for one.
    target, options = f"dns:///{address}", [*CHANNEL_OPTIONS, *_QUICK]
    if tls is None:
        return grpc.insecure_channel(target, options)
    credentials, more = channel_arguments(tls)
    return grpc.secure_channel(target, credentials, [*options, *more])


def ping(channel: Any, seconds: float) -> Any:
    """Returns a `grpc.Future` that ends when the worker answers, or fails after `seconds`."""
    return channel.unary_unary(PING_METHOD).future(b"", timeout=seconds, wait_for_ready=True)


def timed_out(reply: Any) -> bool:
    """Returns whether a ping has ended without an answer."""
    import grpc

    return reply.done() and reply.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def no_answer(reply: Any, seconds: float) -> Optional[str]:
    """Waits for a ping to end and returns what was wrong, or None."""
    import grpc

    if reply.exception() is None:
        return None
    if reply.code() is grpc.StatusCode.UNIMPLEMENTED:
        return "what answers there is not a TFF worker"
    if timed_out(reply):
        return _no_answer_within(seconds)
    return str(reply.details() or reply.code())


def unreachable(channel: Any, seconds: float) -> Optional[str]:
    """Pings until the worker answers or `seconds` are over; returns what was wrong, or None.

    A ping that meets the connection which is just breaking fails at once, and says nothing of a
    worker that is about to be back.
    """
    import grpc

    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        reply = ping(channel, left)
        reason = no_answer(reply, seconds)
        if reply.code() is not grpc.StatusCode.UNAVAILABLE:
            return reason
    return _no_answer_within(seconds)


def _no_answer_within(seconds: float) -> str:
    return f"no answer within {seconds:g} s"


def silent(addresses: Sequence[str], seconds: float, tls: Optional[Path] = None) -> dict[str, str]:
    """Returns the addresses whose TFF worker does not answer within `seconds`, with the reasons."""
    channels = {address: open_channel(address, tls) for address in addresses}
    pings = {address: ping(channel, seconds) for address, channel in channels.items()}
    reasons = {address: no_answer(reply, seconds) for address, reply in pings.items()}
    for channel in channels.values():
        channel.close()
    return {address: reason for address, reason in reasons.items() if reason}


def require_answers(addresses: Sequence[str], tls: Optional[Path] = None) -> None:
    """Checks that all workers answer.

    Raises:
        FederatedError: the file `tls` is no key file.
        RuntimeUnavailable: some do not; the message names them.

    """
    # Before gRPC tries, which would fill the terminal; TFF's worker has no use for such questions.
    if tls is not None and (reasons := _refusals(addresses, tls)):
        raise _unusable(reasons, addresses)
    if reasons := silent(addresses, START_SECONDS, tls):
        reasons.update(_refusals(list(reasons), tls))
        raise _unusable(reasons, addresses, " (start them with: pytest-federated worker --port N)")


def _refusals(addresses: Sequence[str], tls: Optional[Path]) -> dict[str, str]:
    reasons = {address: refusal(address, tls, _TLS_SECONDS) for address in addresses}
    return {address: reason for address, reason in reasons.items() if reason}


def _unusable(reasons: dict[str, str], addresses: Sequence[str], hint: str = "") -> Exception:
    each = "; ".join(f"{address}: {reason}" for address, reason in reasons.items())
    return RuntimeUnavailable(
        f"{len(reasons)} of {len(addresses)} remote workers cannot be used: {each}{hint}"
    )
