"""DTOs of what the desk lets people do beside trading: jobs, schedules, models, repair, explanations."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from apps.api.dto import Reason
from packages.common.types import JobDTO, ModelDTO

Every = Annotated[str, StringConstraints(pattern=r"^[1-9]\d{0,3}[mhd]$")]
At = Annotated[str, StringConstraints(pattern=r"^\d{1,4}[mhd]$")]
PointerKind = Literal["production", "demo", "challenger"]


class JobIn(BaseModel):
    """What to compute. ``params`` as the kind knows them; the job refuses what it does not know."""

    model_config = {"extra": "forbid"}

    kind: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,60}$")]
    params: Annotated[dict[Annotated[str, Field(max_length=60)], Any], Field(max_length=20)] = {}


class CancelIn(BaseModel):
    """Why."""

    model_config = {"extra": "forbid"}

    reason: Reason


class Empty(BaseModel):
    """Nothing to say."""

    model_config = {"extra": "forbid"}


class ScheduleDTO(BaseModel):
    """One job every ``every`` of market time, ``at`` into it; lengths such as 90m, 2h, 7d. ``next_ts``: market time."""

    name: str
    enabled: bool
    every: str
    at: str
    default_every: str
    default_at: str
    next_ts: str | None
    last_job: JobDTO | None
    changed_at: str | None
    changed_by: str | None


class ScheduleIn(BaseModel):
    """What is left out stays."""

    model_config = {"extra": "forbid"}

    enabled: bool | None = None
    every: Every | None = None
    at: At | None = None
    reason: Reason | None = None


class EvidenceConditionDTO(BaseModel):
    """One thing that a promotion needs (D31)."""

    code: str
    met: bool
    value: str
    expected: str
    message: str


class ModelEvidenceDTO(BaseModel):
    """``conditions``: all that a promotion to production needs, met or not."""

    model_id: str
    conditions: list[EvidenceConditionDTO]
    report_url: str | None


class PromoteIn(BaseModel):
    """``override``: without whole evidence, which ``confirm`` (the model's id, typed) asks for once more."""

    model_config = {"extra": "forbid"}

    reason: Reason
    kind: PointerKind = "production"
    override: bool = False
    confirm: Annotated[str, Field(max_length=60)] | None = None


class RollbackIn(PromoteIn):
    """``override``: also to a predecessor without whole evidence, whose id ``confirm`` repeats."""


class RepairIn(BaseModel):
    """A span whose holes are to be filled from the exchange; without ``symbol`` of every symbol."""

    model_config = {"extra": "forbid", "populate_by_name": True}

    symbol: Annotated[str, Field(max_length=60)] | None = None
    from_: Annotated[str, Field(alias="from", max_length=40)]
    to: Annotated[str, Field(max_length=40)]


class ExplainIn(BaseModel):
    """A row of ``signals``."""

    model_config = {"extra": "forbid"}

    symbol: Annotated[str, Field(max_length=60)]
    ts: Annotated[str, Field(max_length=40)]
    mode: Literal["shadow", "live"] = "shadow"


class ContributionDTO(BaseModel):
    feature: str
    contribution: float | None


class TargetExplainDTO(BaseModel):
    """``prediction`` = ``base`` + the ``top`` contributions + ``rest``; ``unit``: fraction (of the entry), minutes, or
    log_odds (of ``p_tp``)."""

    prediction: float | None
    base: float | None
    unit: str
    top: list[ContributionDTO]
    rest: float | None


class ExplainDTO(BaseModel):
    """Why a row was predicted as it was. ``targets`` is null while nobody has asked, and where ``unavailable`` says why
    not. ``inputs``: as the model saw them."""

    symbol: str
    ts: str
    mode: str
    model_id: str
    decision: str
    inputs: dict[str, float | None] | None = None
    targets: dict[str, TargetExplainDTO] | None = None
    unavailable: str | None = None


class ModelActionDTO(BaseModel):
    """The model that is in use for ``kind`` now, and the one that was before."""

    kind: str
    model: ModelDTO
    previous_model_id: str | None
