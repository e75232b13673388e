"""Models as the routes see them: what was learned, how good it is, and which version decides."""

from __future__ import annotations

from collections.abc import Sequence

from overture.deploy import online
from overture.deploy.learners import NOT_INSTALLED
from overture.model import Refused, clock
from overture.model.artefact import Artefact, Linear, Trees, digest, unpack
from overture.model.learned import Learned
from overture.rules.durations import duration_text
from overture.rules.learning import Model
from overture.state import learners
from overture.state.learners import Learner
from overture.state.registry import Registry
from overture.state.wire import Wire
from overture.web.modelled import CalibrationBin, Deciding, Measures, ModelState, Pin
from overture.worker.plans import Plans


class ModelService:
    """Implements `overture.web.services.Models`."""

    def __init__(self, wire: Wire, registry: Registry, plans: Plans) -> None:
        self._wire = wire
        self._registry = registry
        self._plans = plans

    async def list(self) -> Sequence[ModelState]:
        program = await self._plans.active()
        pinned = (await self._registry.activation(program.version)).pinned
        known = await learners.load(self._wire)
        models = sorted(program.models.values(), key=lambda model: model.id)
        return [
            _state(m, program.learned.get(m.id), m.id in pinned, known.get(m.key, Learner()).learned) for m in models
        ]

    async def put(self, model: str, artefact: bytes) -> Deciding:
        found = unpack(artefact)
        _fitting(await self._model(model), found)
        return await self._decide(model, found, pinned=True)

    async def pin(self, model: str, pin: Pin) -> Deciding:
        wanted = await self._model(model)
        if pin.version is None:
            program = await self._plans.active()
            return await self._decide(model, program.learned.get(model), pinned=pin.pinned)
        artefact = await self._registry.artefact(pin.version)
        if artefact is None:
            message = f"There is no artefact {pin.version[:40]!r}."
            raise Refused("artefact.unknown", message, "It must have decided before.", "/version", 404)
        _fitting(wanted, artefact)
        return await self._decide(model, artefact, pinned=pin.pinned)

    async def _decide(self, model: str, artefact: Artefact | None, *, pinned: bool) -> Deciding:
        version = await self._registry.learn({model: artefact}, clock.now(), {model: pinned})
        return Deciding(model, None if artefact is None else digest(artefact), version)

    async def _model(self, id: str) -> Model:
        program = await self._plans.active()
        model = program.models.get(id)
        if model is None:
            raise Refused(
                "model.unknown", f"There is no model {id!r}.", "GET /v1/models lists those that there are.", status=404
            )
        return model


def _fitting(model: Model, artefact: Artefact) -> None:
    if not isinstance(artefact, Linear | Trees) or artefact.edition != model.edition:
        message = f"This was not learned for {model.id} as it asks now: its edition is {model.edition}."
        raise Refused("artefact.edition", message, "Train it with the document that is active.", status=409)


def _state(model: Model, deciding: Artefact | None, pinned: bool, known: Learned) -> ModelState:
    same = deciding if isinstance(deciding, Linear | Trees) and deciding.edition == model.edition else None
    measured = online.measure(known.recent)
    return ModelState(
        model.id,
        model.kind,
        model.edition,
        duration_text(model.within_ms),
        list(model.features),
        None if same is None else digest(same),
        0 if same is None else same.examples,
        pinned,
        known.examples,
        known.yes,
        None if measured is None else _told(measured),
        _waits(model, pinned, known),
    )


def _waits(model: Model, pinned: bool, known: Learned) -> str:
    if model.kind == "batch":
        return ""
    if pinned:
        return "A version is pinned."
    return online.why_not(known) if online.available() else NOT_INSTALLED


def _told(measured: online.Measured) -> Measures:
    bins = [CalibrationBin(each.predicted, each.observed, each.examples) for each in measured.calibration]
    return Measures(
        measured.examples,
        round(measured.base_rate, 6),
        round(measured.log_loss, 6),
        round(measured.base_log_loss, 6),
        None if measured.auc is None else round(measured.auc, 6),
        bins,
    )
