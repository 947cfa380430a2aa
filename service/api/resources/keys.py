"""API keys over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from service import model
from service.api.kit.callers import Admin, AnyCaller, Granter
from service.api.kit.documented import problems
from service.api.kit.fields import NO_CONTROL, QUEUES_PATTERN, Document, Fields, GivenTime, Time
from service.api.kit.json_requests import JsonRoute
from service.api.kit.lists import ListQuery, Page, PagingOf
from service.api.kit.state import KeyringOf, StoreOf
from service.auth.keys import SECRET_PATTERN, hash_of, new_secret
from service.domain import keys
from service.model import Scope

router = APIRouter(route_class=JsonRoute, tags=["keys"])

KeyName = Annotated[str, Field(min_length=1, max_length=128, pattern=NO_CONTROL, description="A name for people.")]
KeyScope = Annotated[Scope, Field(strict=False)]
QueuePattern = Annotated[str, Field(pattern=QUEUES_PATTERN, description="A queue's name; `*` is a wildcard.")]


class KeyFields(Fields):
    """A key to create."""

    name: KeyName
    scopes: Annotated[
        list[KeyScope], Field(min_length=1, max_length=100, description="The operations that the key permits.")
    ]
    queues: Annotated[
        list[QueuePattern],
        Field(
            min_length=1, max_length=100, default_factory=lambda: ["*"], description="The queues that the key covers."
        ),
    ]
    expires_at: Annotated[GivenTime | None, Field(description="When the key expires; null: never.")] = None


class Key(Document):
    """A key, without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    queues: list[str]
    expires_at: Time | None
    created_at: Time
    last_used_at: Annotated[Time | None, Field(description="Rounded down to the minute.")]


class CreatedKey(Key):
    """A newly created key, with its secret."""

    secret: Annotated[
        str, Field(pattern=f"^{SECRET_PATTERN}$", description="Send it after `Bearer`. It is shown only once.")
    ]


class KeyPage(Page[Key]):
    """A page of a project's keys."""


class Whoami(Document):
    """The properties of a key."""

    project: str
    key_id: Annotated[str | None, Field(description="Null for the root key.")]
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
    "/v1/keys", operation_id="create_key", summary="Create an API key", status_code=201, responses=problems(body=True)
)
async def create_key(fields: KeyFields, caller: Granter, store: StoreOf) -> CreatedKey:
    """Create a key of the caller's project. Only this response has the secret, which is not stored.

    A caller with the scope `grant` instead of `admin` can grant only its own scopes and queues, for up to 24 hours.
    """
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
    paging: PagingOf,
) -> KeyPage:
    """List the project's keys, without their secrets."""
    after = paging.after_id(query, "keys", caller.project_id)
    found, last = await keys.list_keys(store, caller.project_id, after, query.limit)
    return paging.page(KeyPage, [Key(**_members(key)) for key in found], last)


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
    caller: Granter,
    store: StoreOf,
    keyring: KeyringOf,
) -> None:
    """Revoke a key. This process refuses it at once, all others within five seconds.

    A caller with the scope `grant` instead of `admin` can revoke only keys that it could have created.
    """
    await keys.delete_key(store, caller, _uuid(key))
    keyring.forget()


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(hex=text)
    except ValueError:
        return None


@router.get("/v1/whoami", operation_id="whoami", summary="Get the properties of your key", responses=problems())
async def whoami(caller: AnyCaller) -> Whoami:
    """Return the project, scopes, queue patterns and expiry of the caller's key."""
    return Whoami(
        project=caller.project_name,
        key_id=caller.key.hex if caller.key else None,
        scopes=sorted(caller.scopes),
        queues=list(caller.queues),
        expires_at=caller.expires_at,
    )
