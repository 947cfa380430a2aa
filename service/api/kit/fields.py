"""Field types of requests and responses: durations, times, and text with a required form."""

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
# Excludes the C1 control characters too, which are not allowed in header values and groups.
NO_CONTROL_AT_ALL = r"^[^\x00-\x1f\x7f-\x9f]*$"
LABEL_PATTERN = r"^[^\x00-\x1f\x7f:]+:[^\x00-\x1f\x7f]*$"
PREFIX_PATTERN = r"^[A-Za-z0-9._~-]{0,128}$"
QUEUES_PATTERN = r"^[A-Za-z0-9._~*-]{1,128}$"
# The error sentence for each pattern.
FORMS = {
    NAME_PATTERN: NAME_RULE,
    NO_CONTROL: "Must not contain control characters.",
    NO_CONTROL_AT_ALL: "Must not contain control characters.",
    LABEL_PATTERN: "Must have the form `key:value`, without control characters.",
    PREFIX_PATTERN: "Must be the beginning of a name: up to 128 characters of A-Z a-z 0-9 . _ ~ -.",
    QUEUES_PATTERN: "Must be a name pattern with `*` as a wildcard: 1 to 128 characters of A-Z a-z 0-9 . _ ~ - *.",
}

# The default of a field that a request may omit but not set to null.
LEFT_OUT: Any = None

MILLISECOND = timedelta(milliseconds=1)

_is_rfc3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)\Z", re.ASCII).match


class Fields(BaseModel):
    """The base of request bodies: types are not converted, and unknown fields are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Show the defaults of durations in seconds, as requests have them."""
        shown = handler.resolve_ref_schema(handler(schema))
        for name, field in cls.model_fields.items():
            if isinstance(field.default, timedelta):
                shown["properties"][name]["default"] = in_seconds(field.default)
        return shown


class Document(BaseModel):
    """The base of response bodies, which always have every field."""

    model_config = ConfigDict(frozen=True)


def in_seconds(duration: timedelta) -> int | float:
    """Return a duration in seconds, rounded down to the millisecond; an int if it is a whole number of seconds."""
    milliseconds = duration // MILLISECOND
    return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000


def in_rfc3339(time: datetime) -> str:
    """Format a time in UTC, with microseconds (RFC 3339)."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


@dataclass(frozen=True, slots=True)
class Seconds:
    """A duration as a JSON number of seconds, from `least` to `most`, rounded to the millisecond."""

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
        """Return the duration. Raises PydanticCustomError if it is not a number or out of range."""
        if isinstance(value, timedelta):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise PydanticCustomError("wrong_type", "must be a number of seconds")
        if not self.least <= value <= self.most:
            raise PydanticCustomError("out_of_range", f"must be {self.least} to {self.most} seconds")
        return timedelta(milliseconds=round(value * 1000))


def read_rfc3339(text: str) -> datetime | None:
    """Parse a time with its offset from UTC (RFC 3339, section 5.6); return None for any other text."""
    if _is_rfc3339(text):
        # Raised for a date or time that does not exist.
        with suppress(ValueError):
            return datetime.fromisoformat(text.upper())
    return None


def _read_time(value: Any) -> datetime:
    time = read_rfc3339(value) if isinstance(value, str) else None
    if time is not None:
        # Raised if the year in UTC is before 1 or after 9999.
        with suppress(OverflowError):
            return time.astimezone(UTC)
    raise PydanticCustomError("wrong_form", TIME_RULE)


_TIME_SCHEMA = WithJsonSchema({"type": "string", "format": "date-time"})

Time = Annotated[datetime, PlainSerializer(in_rfc3339, return_type=str), _TIME_SCHEMA]
GivenTime = Annotated[datetime, BeforeValidator(_read_time), _TIME_SCHEMA]
