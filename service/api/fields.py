"""The kinds of fields that requests and answers are made of."""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from service.model import NAME_PATTERN, NAME_RULE, TIME_RULE

NO_CONTROL = r"^[^\x00-\x1f\x7f]*$"
# Nor what no header's value and no group can hold, the database least of all.
NO_CONTROL_AT_ALL = r"^[^\x00-\x1f\x7f-\x9f]*$"
LABEL_PATTERN = r"^[^\x00-\x1f\x7f:]+:[^\x00-\x1f\x7f]*$"
PREFIX_PATTERN = r"^[A-Za-z0-9._~-]{0,128}$"
QUEUES_PATTERN = r"^[A-Za-z0-9._~*-]{1,128}$"
# What is said when a text does not have the form.
FORMS = {
    NAME_PATTERN: NAME_RULE,
    NO_CONTROL: "Must have no control characters.",
    NO_CONTROL_AT_ALL: "Must have no control characters.",
    LABEL_PATTERN: "Must be `key:value`, without control characters.",
    PREFIX_PATTERN: "Must be the beginning of a name: up to 128 of A-Z a-z 0-9 . _ ~ -.",
    QUEUES_PATTERN: "Must be a name in which `*` may stand for anything: 1 to 128 of A-Z a-z 0-9 . _ ~ - *.",
}

# What stands for a field that a request may leave out, yet not give as null.
LEFT_OUT: Any = None

MILLISECOND = timedelta(milliseconds=1)

_is_rfc3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)\Z", re.ASCII).match


class Fields(BaseModel):
    """What a request carries: nothing is converted, and a field that does not exist is refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Show durations' defaults as requests give them."""
        shown = handler.resolve_ref_schema(handler(schema))
        for name, field in cls.model_fields.items():
            if isinstance(field.default, timedelta):
                shown["properties"][name]["default"] = in_seconds(field.default)
        return shown


class Document(BaseModel):
    """What an answer carries: every field, always."""

    model_config = ConfigDict(frozen=True)


def in_seconds(duration: timedelta) -> int | float:
    """Return a duration as the JSON number of its seconds: whole when it is whole."""
    milliseconds = duration // MILLISECOND
    return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000


def in_rfc3339(time: datetime) -> str:
    """Return a time in UTC, always to the microsecond."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


@dataclass(frozen=True, slots=True)
class Seconds:
    """A duration: a JSON number of seconds, rounded to the millisecond when read."""

    least: int
    most: int

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        number: dict[str, Any] = {"type": "number", "minimum": self.least, "maximum": self.most}
        return core_schema.no_info_plain_validator_function(
            self.read,
            serialization=core_schema.plain_serializer_function_ser_schema(in_seconds),
            metadata={"pydantic_js_functions": [lambda _schema, _handler: dict(number)]},
        )

    def read(self, value: Any) -> timedelta:
        """Return the duration, or raise what pydantic reports."""
        if isinstance(value, timedelta):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise PydanticCustomError("wrong_type", "must be a number of seconds")
        if not self.least <= value <= self.most:
            raise PydanticCustomError("out_of_range", f"must be {self.least} to {self.most} seconds")
        return timedelta(milliseconds=round(value * 1000))


def _read_time(value: Any) -> datetime:
    """Return a time that was given with its offset from UTC."""
    if isinstance(value, str) and _is_rfc3339(value):
        # A day or hour that does not exist, or a year beyond 9999 in UTC.
        with suppress(ValueError, OverflowError):
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    raise PydanticCustomError("wrong_form", TIME_RULE)


_TIME_SCHEMA = WithJsonSchema({"type": "string", "format": "date-time"})

Time = Annotated[datetime, PlainSerializer(in_rfc3339, return_type=str), _TIME_SCHEMA]
GivenTime = Annotated[datetime, BeforeValidator(_read_time), _TIME_SCHEMA]
