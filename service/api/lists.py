"""Lists, a page at a time."""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api.fields import Document

Item = TypeVar("Item")

MAX_PAGE_ITEMS = 1000


class ListQuery(BaseModel):
    """What every list takes in its query."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE_ITEMS, description="Items on a page, at most.")] = 100
    cursor: Annotated[str | None, Field(description="`next_cursor` of the page before.")] = None


class Page(Document, Generic[Item]):
    """A page of a list. There is more while `next_cursor` is not null, even if the page is short or empty."""

    items: list[Item]
    next_cursor: str | None


PageOf = TypeVar("PageOf", bound=Page[Any])


def page(
    kind: type[PageOf], items: Sequence[BaseModel], next_cursor: str | None, request: Request, response: Response
) -> PageOf:
    """Return a page, with a link to the next one."""
    if next_cursor is not None:
        kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        query = urlencode([*kept, ("cursor", next_cursor)], errors="replace")
        response.headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'
    return kind(items=list(items), next_cursor=next_cursor)
