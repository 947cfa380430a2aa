"""The limits in force, over HTTP."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from service import model
from service.api.kit.callers import AnyCaller
from service.api.kit.documented import problems
from service.api.kit.fields import Document, in_seconds
from service.api.kit.lists import MAX_PAGE_ITEMS
from service.api.kit.state import StoreOf
from service.api.resources.projects import ProjectLimits, limits_document

router = APIRouter(tags=["limits"])


class Limits(Document):
    """The limits in force. Each name ends with its unit."""

    max_request_bytes: int
    max_answer_bytes: Annotated[
        int, Field(description="Total body size in the response to a receive; one message always fits.")
    ]
    max_message_bytes: Annotated[int, Field(description="The maximum for a queue's `max_message_bytes`.")]
    max_batch_messages: int
    max_receive_messages: int
    max_wait_seconds: int | float
    max_visibility_timeout_seconds: int | float
    max_delay_seconds: int | float
    max_retention_seconds: int | float
    max_headers_per_message: int
    max_error_bytes: int
    max_labels_per_queue: int
    max_json_levels: int
    max_page_items: int
    max_parked_receives_per_process: int
    project: Annotated[ProjectLimits, Field(description="The project's limits, set by the operator.")]


@router.get("/v1/limits", operation_id="get_limits", summary="The limits in force", responses=problems())
async def get_limits(caller: AnyCaller, store: StoreOf) -> Limits:
    """Return the limits of the service and of the caller's project."""
    return Limits(
        max_request_bytes=model.MAX_REQUEST_BYTES,
        max_answer_bytes=model.MAX_ANSWER_BYTES,
        max_message_bytes=store.settings.max_message_bytes,
        max_batch_messages=model.MAX_BATCH,
        max_receive_messages=model.MAX_RECEIVE,
        max_wait_seconds=in_seconds(model.MAX_WAIT),
        max_visibility_timeout_seconds=in_seconds(model.MAX_VISIBILITY_TIMEOUT),
        max_delay_seconds=in_seconds(model.MAX_DELAY),
        max_retention_seconds=in_seconds(model.MAX_RETENTION),
        max_headers_per_message=model.MAX_HEADERS,
        max_error_bytes=model.MAX_ERROR_BYTES,
        max_labels_per_queue=model.MAX_LABELS,
        max_json_levels=model.MAX_DEPTH,
        max_page_items=MAX_PAGE_ITEMS,
        max_parked_receives_per_process=store.settings.max_parked_receives,
        project=limits_document(caller.limits or model.UNLIMITED),
    )
