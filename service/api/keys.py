"""API keys over HTTP, and what a key says of itself."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from service import model
from service.api.callers import Admin, AnyCaller
from service.api.documented import problems
from service.api.fields import NO_CONTROL, QUEUES_PATTERN, Document, Fields, GivenTime, Time
from service.api.json_requests import JsonRoute
from service.api.lists import ListQuery, Page, page
from service.api.state import CursorsOf, KeyringOf, StoreOf
from service.auth.keys import SECRET_PATTERN, hash_of, new_secret
from service.domain import keys
from service.model import Scope

router = APIRouter(route_class=JsonRoute, tags=["keys"])

KeyName = Annotated[str, Field(min_length=1, max_length=128, pattern=NO_CONTROL, description="For people.")]
KeyScope = Annotated[Scope, Field(strict=False)]
QueuePattern = Annotated[str, Field(pattern=QUEUES_PATTERN, description="A queue's name; `*` is anything.")]


class KeyFields(Fields):
    """A key to make."""

    name: KeyName
    scopes: Annotated[list[KeyScope], Field(min_length=1, max_length=100, description="What it allows.")]
    queues: Annotated[
        list[QueuePattern],
        Field(min_length=1, max_length=100, default_factory=lambda: ["*"], description="Which queues it opens."),
    ]
    expires_at: Annotated[GivenTime | None, Field(description="When it ends; null: never.")] = None


class Key(Document):
    """A key. Its secret is known to its holder alone."""

    id: str
    name: str
    scopes: list[Scope]
    queues: list[str]
    expires_at: Time | None
    created_at: Time
    last_used_at: Annotated[Time | None, Field(description="To the minute.")]


class CreatedKey(Key):
    """A key that was made just now."""

    secret: Annotated[
        str, Field(pattern=f"^{SECRET_PATTERN}$", description="What goes after `Bearer`. It is shown this once.")
    ]


class KeyPage(Page[Key]):
    """Some of a project's keys."""


class Whoami(Document):
    """What a key is and allows."""

    project: str
    key_id: Annotated[str | None, Field(description="Null: the root key.")]
    scopes: list[Scope]
    queues: list[str]
    expires_at: Time | None


def _members(key: model.Key) -> dict[str, Any]:
    return {
        "id": key.id.hex,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "queues": list(key.queues),
        "expires_at": key.expires_at,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at and key.last_used_at.replace(second=0, microsecond=0),
    }


@router.post(
    "/v1/keys", operation_id="create_key", summary="Make an API key", status_code=201, responses=problems(body=True)
)
async def create_key(fields: KeyFields, caller: Admin, store: StoreOf) -> CreatedKey:
    """Make a key of the caller's project. The answer has its secret, which is not kept and never shown again."""
    secret = new_secret()
    key = await keys.create_key(
        store,
        caller,
        hash_of(secret.encode()),
        name=fields.name,
        scopes=fields.scopes,
        queues=tuple(fields.queues),
        expires_at=fields.expires_at,
    )
    return CreatedKey(**_members(key), secret=secret)


@router.get("/v1/keys", operation_id="list_keys", summary="List API keys", responses=problems())
async def list_keys(
    *,
    query: Annotated[ListQuery, Query()],
    caller: Admin,
    store: StoreOf,
    cursors: CursorsOf,
    request: Request,
    response: Response,
) -> KeyPage:
    """List the project's keys, without their secrets."""
    after = UUID(hex=cursors.open(query.cursor, "keys", caller.project_id)) if query.cursor is not None else None
    found, last = await keys.list_keys(store, caller.project_id, after, query.limit)
    next_cursor = cursors.seal(last.hex, "keys", caller.project_id) if last is not None else None
    return page(KeyPage, [Key(**_members(key)) for key in found], next_cursor, request, response)


@router.delete(
    "/v1/keys/{key}",
    operation_id="delete_key",
    summary="Revoke an API key",
    response_class=Response,
    status_code=204,
    responses=problems({404: "There is no such key in this project: key_not_found."}),
)
async def delete_key(
    key: Annotated[str, Path(max_length=64, description="The key's id.")],
    caller: Admin,
    store: StoreOf,
    keyring: KeyringOf,
) -> None:
    """Revoke a key. Every process refuses it within five seconds, this one at once."""
    await keys.delete_key(store, caller.project_id, _uuid(key))
    keyring.forget()


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(hex=text)
    except ValueError:
        return None


@router.get("/v1/whoami", operation_id="whoami", summary="What a key is and allows", responses=problems())
async def whoami(caller: AnyCaller) -> Whoami:
    """Return the project, scopes, queue patterns and expiry of the key that asks."""
    return Whoami(
        project=caller.project_name,
        key_id=caller.key.hex if caller.key else None,
        scopes=sorted(caller.scopes),
        queues=list(caller.queues),
        expires_at=caller.expires_at,
    )
