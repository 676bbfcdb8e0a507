"""What every part of a manifest's model shares: strict frozen models and a number that may be a range."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

ROUNDING = 1e-9  # relative: by how much a number may pass a limit and still lie on it


def floored(value: float, digits: int) -> str:
    """In so many digits, and no more than it is: what is told as the most is allowed."""
    step = 10.0 ** (math.floor(math.log10(value)) - digits + 1)
    return f"{math.floor(value / step * (1 + ROUNDING / 2)) * step:.{digits}g}"


def ceiled(value: float, digits: int) -> str:
    """In so many digits, and no less than it is: what is told as the least is allowed."""
    step = 10.0 ** (math.floor(math.log10(value)) - digits + 1)
    return f"{math.ceil(value / step * (1 - ROUNDING / 2)) * step:.{digits}g}"


class Spec(BaseModel):
    """A frozen part of a manifest. Unknown keys are faults; text is never taken for a number, nor 1 for true."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Between:
    """Annotates `tuple[float, float]`: a number, or [low, high], each within [minimum, maximum].

    A single number n becomes (n, n), a range without width:
    `speed_m_s: Annotated[tuple[float, float], Between(0.01, 100)]`.
    """

    minimum: float
    maximum: float

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        number = {"type": "number", "minimum": self.minimum, "maximum": self.maximum}
        return {"anyOf": [number, {"type": "array", "items": number, "minItems": 2, "maxItems": 2}]}

    def _parse(self, value: Any) -> tuple[float, float]:
        ends = value if isinstance(value, (list, tuple)) else (value, value)
        numbers = [float(v) for v in ends if isinstance(v, (int, float)) and not isinstance(v, bool)]
        in_range = all(self.minimum <= n <= self.maximum for n in numbers)
        if len(ends) != 2 or len(numbers) != 2 or not in_range or numbers[0] > numbers[1]:
            raise PydanticCustomError(
                "range",
                "expected a number from {minimum} to {maximum}, or two of them, the lower first: [low, high]",
                {"minimum": f"{self.minimum:g}", "maximum": f"{self.maximum:g}"},
            )
        return numbers[0], numbers[1]
