"""From the minute's model inputs to the ten predictions of every symbol, in one batch on one thread (§12)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from packages.common.errors import InvalidInputError, SchemaMismatchError
from packages.common.types import TARGETS
from services.features import schema
from services.inference import forest
from services.labeling.triple_barrier import LabelSpec
from services.registry.package import ModelPackage, load_package


@dataclass(frozen=True, slots=True)
class Predictor:
    """A loaded model package. ``label_spec`` is what the kernel trades with (kernel.md)."""

    model_id: str
    label_spec: LabelSpec
    trees: forest.Forest
    scale_column: int
    scaled: NDArray[np.bool_]

    @classmethod
    def load(cls, package: ModelPackage | str, *, expected_hash: str | None = None) -> "Predictor":
        """From a package or its URL. ``SchemaMismatchError`` when it was made for another feature schema, lacks one of
        the ten targets, or its label specification does not hash to what it says."""
        if isinstance(package, str):
            package = load_package(package, expected_hash=expected_hash)
        made_for = (package.schema["version"], tuple(package.schema["keys"]))
        if made_for != (schema.SCHEMA_VERSION, schema.KEYS):
            raise SchemaMismatchError(
                f"model {package.model_id}: made for feature schema {made_for[0]} with {len(made_for[1])} keys, "
                f"this release computes schema {schema.SCHEMA_VERSION} with {len(schema.KEYS)}"
            )
        lacking = set(TARGETS) - package.boosters.keys()
        if lacking:
            raise SchemaMismatchError(f"model {package.model_id}: no booster for {sorted(lacking)}")
        fields = {name: value for name, value in package.label_spec.items() if name != "hash"}
        try:
            spec = LabelSpec.from_dict(fields)
        except InvalidInputError as exc:
            raise SchemaMismatchError(f"model {package.model_id}: label specification: {exc}") from exc
        if spec.hash() != package.label_spec["hash"]:
            raise SchemaMismatchError(
                f"model {package.model_id}: label specification hashes to {spec.hash()}, "
                f"the package says {package.label_spec['hash']}"
            )
        return cls(
            package.model_id,
            spec,
            forest.parse([package.boosters[name] for name in TARGETS], len(schema.KEYS)),
            schema.KEYS.index(package.schema["scale_key"]),
            np.array([name in package.schema["scaled"] for name in TARGETS]),
        )

    def raw(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the boosters say, (n, 10) in the order of ``TARGETS``, bit-equal to ``Booster.predict``; targets
        learned in barrier ATRs are in barrier ATRs."""
        if inputs.ndim != 2 or inputs.shape[1] != len(schema.KEYS):
            raise InvalidInputError("inputs", inputs.shape, f"shape (n, {len(schema.KEYS)})")
        return forest.predict(self.trees, np.ascontiguousarray(inputs, np.float64))

    def predict(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predictions (n, 10), float64, order of ``TARGETS``: fractions of the entry, minutes, probabilities (D16).

        ``inputs`` (n, 17) are ``schema.model_inputs``. NaN in an input is a missing value to the trees; where the
        barriers' ATR itself is NaN the scaled predictions are NaN, which the kernel blocks as ``FEATURE_NAN``. Rows do
        not affect each other. Never raises for values, only for a wrong shape.
        """
        out = self.raw(inputs)
        out[:, self.scaled] *= inputs[:, self.scale_column, None]
        return out
