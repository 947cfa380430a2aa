"""Paginated lists."""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api.kit.fields import NO_CONTROL, Document
from service.api.kit.queries import WHOLE_NUMBER
from service.api.kit.state import CursorsOf

ListItem = TypeVar("ListItem")

MAX_PAGE_ITEMS = 1000


class ListQuery(BaseModel):
    """The query parameters of every list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[
        int, Field(ge=1, le=MAX_PAGE_ITEMS, description="Maximum number of items per page."), WHOLE_NUMBER
    ] = 100
    cursor: Annotated[str | None, Field(description="`next_cursor` of the previous page.")] = None


class SearchQuery(ListQuery):
    """The query parameters of a list that can be searched by name."""

    search: Annotated[
        str,
        Field(max_length=128, pattern=NO_CONTROL, description="List only names that contain this text, in any case."),
    ] = ""


class Page(Document, Generic[ListItem]):
    """A page of a list. More pages follow unless `next_cursor` is null, even if this page is short or empty."""

    items: list[ListItem]
    next_cursor: str | None


PageOf = TypeVar("PageOf", bound=Page[Any])


class Paging:
    """One request for a page of a list: where the page begins, and the answer with the next page's cursor."""

    def __init__(self, request: Request, response: Response, cursors: CursorsOf) -> None:
        self._request = request
        self._response = response
        self._cursors = cursors
        self._listing: tuple[object, ...] = ()

    def after(self, query: ListQuery, *listing: object) -> str | None:
        """Return the position after which the page begins; None: at the start. Raises MalformedRequest.

        `listing` identifies the list, its project and filters; a cursor of another list is refused.
        """
        self._listing = listing
        return None if query.cursor is None else self._cursors.open(query.cursor, *listing)

    def after_id(self, query: ListQuery, *listing: object) -> UUID | None:
        """Return the id after which the page begins, as `after`."""
        position = self.after(query, *listing)
        return None if position is None else UUID(position)

    def page(self, kind: type[PageOf], items: Sequence[BaseModel], last: UUID | str | None) -> PageOf:
        """Return a page, and set the Link header to the one that begins after `last`; None: this is the last page."""
        next_cursor = None if last is None else self._cursors.seal(str(last), *self._listing)
        if next_cursor is not None:
            kept = [(name, value) for name, value in self._request.query_params.multi_items() if name != "cursor"]
            query = urlencode([*kept, ("cursor", next_cursor)], errors="replace")
            # A relative reference with only the query, because the path may differ behind a proxy.
            self._response.headers["Link"] = f'<?{query}>; rel="next"'
        return kind(items=list(items), next_cursor=next_cursor)


PagingOf = Annotated[Paging, Depends()]
