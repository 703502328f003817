"""The words of the field as types: one frozen dataclass per thing, from the wire to the kernel's door.

The same classes are the Python API, the JSON bodies and the OpenAPI schema. They check themselves when made, so what
holds one may trust it. A "unit" is a patrol unit.
"""

from geomatch.model.answers import (
    BelievedPlace,
    BeyondK,
    Candidate,
    Choice,
    Comparison,
    Complete,
    Eta,
    Excluded,
    Explanation,
    Place,
    Question,
    QuestionOption,
    Ranking,
    ResolvedStop,
    Route,
    RouteLeg,
    Verdict,
)
from geomatch.model.degraded import Degraded, Rung, RungLimits
from geomatch.model.stops import Need, Stop
from geomatch.model.units import Fix, FixResult, Status, Unit, UnitState
from geomatch.model.words import (
    REASON_OF_CODE,
    STRICT,
    Availability,
    Decision,
    FixOutcome,
    Phase,
    Position,
    Reason,
    Service,
    Urgency,
)

__all__ = [
    "REASON_OF_CODE",
    "STRICT",
    "Availability",
    "BelievedPlace",
    "BeyondK",
    "Candidate",
    "Choice",
    "Comparison",
    "Complete",
    "Decision",
    "Degraded",
    "Eta",
    "Excluded",
    "Explanation",
    "Fix",
    "FixOutcome",
    "FixResult",
    "Need",
    "Phase",
    "Place",
    "Position",
    "Question",
    "QuestionOption",
    "Ranking",
    "Reason",
    "ResolvedStop",
    "Route",
    "RouteLeg",
    "Rung",
    "RungLimits",
    "Service",
    "Status",
    "Stop",
    "Unit",
    "UnitState",
    "Urgency",
    "Verdict",
]
