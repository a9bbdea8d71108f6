"""How clients take part: who is asked, who drops out, who straggles, and who attacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from pytest_federated.clients.sampling.sampler import samplers
from pytest_federated.core.schema import Section


@dataclass(frozen=True)
class Participation:
    """The scenario's validated choices; by default all goes well.

    Attributes:
        sampling: who is asked to take part in a round.
        dropout: who of these drops out; None for nobody.
        stragglers: who does only a part of its local steps; None for nobody.
        attacks: who attacks, and how; None for nobody.

    """

    sampling: Section = field(default_factory=lambda: samplers.parse("uniform"))
    dropout: Optional[Section] = None
    stragglers: Optional[Section] = None
    attacks: Optional[Section] = None
