"""The limits in force, over HTTP."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from service import model
from service.api.callers import AnyCaller
from service.api.documented import problems
from service.api.fields import Document, in_seconds
from service.api.lists import MAX_PAGE_ITEMS
from service.api.projects import ProjectLimits, limits_document
from service.api.state import StoreOf

router = APIRouter(tags=["limits"])


class Limits(Document):
    """The limits in force, each with its unit in its name."""

    max_request_bytes: int
    max_answer_bytes: Annotated[int, Field(description="Bodies in one answer to a receive; always one message.")]
    max_message_bytes: Annotated[int, Field(description="The most that a queue's max_message_bytes may be.")]
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
    project: Annotated[ProjectLimits, Field(description="What the operator allows this project.")]


@router.get("/v1/limits", operation_id="get_limits", summary="The limits in force", responses=problems())
async def get_limits(caller: AnyCaller, store: StoreOf) -> Limits:
    """Return the limits in force."""
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
