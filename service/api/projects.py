"""Projects over HTTP: the operator's."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service import model
from service.api.callers import Operator
from service.api.conditions import IfMatch, IfNoneMatch, condition, etag, not_modified
from service.api.documented import CHANGED, NOT_MODIFIED, problems
from service.api.fields import Document, Fields, Time
from service.api.json_requests import JsonRoute
from service.api.lists import ListQuery, Page, page
from service.api.state import CursorsOf, KeyringOf, StoreOf
from service.domain import projects
from service.model import NAME_PATTERN
from service.store.projects import ProjectUse as StoredUse
from service.store.store import Store

router = APIRouter(route_class=JsonRoute, tags=["projects"])

_NO_PROJECT = {404: "There is no such project: project_not_found."}

_MOST = 2**53 - 1


def _count(description: str) -> Any:
    return Field(ge=0, le=_MOST, description=description)


ProjectName = Annotated[str, Path(pattern=NAME_PATTERN, description="The project's name.")]


class LimitFields(Fields):
    """What a project may use at most, over all processes. Null, and what is left out: as much as it likes."""

    queues: Annotated[int | None, _count("Queues; exact.")] = None
    messages: Annotated[int | None, _count("Stored messages, whatever their state, over all queues.")] = None
    bytes: Annotated[int | None, _count("Stored bytes of bodies and headers, over all queues.")] = None
    requests_per_second: Annotated[
        int | None,
        Field(ge=1, le=1_000_000, description="Requests of any kind. What is over it gets rate_limited."),
    ] = None
    parked_receives: Annotated[int | None, _count("Receives that wait for a message at the same time.")] = None


class ProjectFields(Fields):
    """A project's whole configuration. What is left out takes its default."""

    limits: LimitFields = LimitFields()


class ProjectChanges(Fields):
    """The fields of a project's configuration to replace; null sets the default."""

    limits: LimitFields | None = None


class ProjectLimits(Document):
    """What a project may use at most; null: as much as it likes."""

    queues: int | None
    messages: int | None
    bytes: int | None
    requests_per_second: int | None
    parked_receives: int | None


class ProjectUse(Document):
    """What a project has."""

    queues: int
    messages: Annotated[
        int | None,
        Field(description="As counted last, while messages or bytes are limited and something is sent; null: never."),
    ]
    bytes: int | None
    counted_at: Annotated[Time | None, Field(description="When messages and bytes were counted.")]
    sent: Annotated[int, Field(description="Messages sent in the last hour.")]


class Project(Document):
    """A project."""

    name: str
    limits: ProjectLimits
    use: ProjectUse
    created_at: Time
    updated_at: Time


_NO_FIELDS = ProjectFields()
_NO_CHANGES = ProjectChanges()


class ProjectPage(Page[Project]):
    """Some of the projects."""


class DeleteQuery(BaseModel):
    """How to delete a project."""

    model_config = ConfigDict(extra="forbid")

    force: Annotated[bool, Field(description="Delete its queues and their messages too.")] = False


def limits_document(limits: model.ProjectLimits) -> ProjectLimits:
    """Return limits as answers have them."""
    return ProjectLimits.model_construct(**asdict(limits))


def _document(project: model.Project, use: StoredUse) -> Project:
    return Project(
        name=project.name,
        limits=limits_document(project.limits),
        use=ProjectUse(**asdict(use)),
        created_at=project.created_at,
        updated_at=project.updated_at,
    )


async def _answer(project: model.Project, store: Store, response: Response) -> Project:
    response.headers["ETag"] = etag(project.limits)
    [use] = await projects.use_of(store, [project])
    return _document(project, use)


@router.put(
    "/v1/projects/{project}",
    operation_id="put_project",
    summary="Create or configure a project",
    responses=problems(CHANGED, body=True, in_project=False) | {201: {"description": "Created.", "model": Project}},
)
async def put_project(
    *,
    project: ProjectName,
    fields: ProjectFields = _NO_FIELDS,
    _operator: Operator,
    store: StoreOf,
    response: Response,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Project:
    """Create a project (201), or give it the whole configuration (200). Doing it again changes nothing."""
    limits = model.ProjectLimits(**dict(fields.limits))
    stored, created = await projects.put_project(store, project, limits, condition(if_match, if_none_match))
    response.status_code = 201 if created else 200
    return await _answer(stored, store, response)


@router.patch(
    "/v1/projects/{project}",
    operation_id="patch_project",
    summary="Change a project",
    responses=problems({**_NO_PROJECT, **CHANGED}, body=True, in_project=False),
)
async def patch_project(
    *,
    project: ProjectName,
    changes: ProjectChanges = _NO_CHANGES,
    _operator: Operator,
    store: StoreOf,
    response: Response,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Project:
    """Replace the fields given; null sets the default. `limits` is replaced as a whole.

    Limits hold for every request after the answer, through any process. What is there already stays, if it is more.
    """
    limits = None
    if "limits" in changes.model_fields_set:
        limits = model.ProjectLimits(**dict(changes.limits or {}))
    check = condition(if_match, if_none_match)
    return await _answer(await projects.patch_project(store, project, limits, check), store, response)


@router.get(
    "/v1/projects/{project}",
    operation_id="get_project",
    summary="Read a project",
    response_model=Project,
    responses=problems(_NO_PROJECT, in_project=False) | NOT_MODIFIED,
)
async def get_project(
    *,
    project: ProjectName,
    _operator: Operator,
    store: StoreOf,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> Any:
    """Return a project."""
    stored = await projects.get_project(store, project)
    if not_modified(stored.limits, if_none_match):
        return Response(status_code=304, headers={"ETag": etag(stored.limits)})
    return await _answer(stored, store, response)


@router.delete(
    "/v1/projects/{project}",
    operation_id="delete_project",
    summary="Delete a project",
    status_code=204,
    response_class=Response,
    responses=problems(
        {**_NO_PROJECT, **CHANGED, 409: "It has queues, and `force` is not set: conflict."}, in_project=False
    ),
)
async def delete_project(
    *,
    project: ProjectName,
    query: Annotated[DeleteQuery, Query()],
    _operator: Operator,
    store: StoreOf,
    keyring: KeyringOf,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> None:
    """Delete a project with its keys; with `force` its queues and their messages too."""
    await projects.delete_project(store, project, condition(if_match, if_none_match), force=query.force)
    keyring.forget()


@router.get("/v1/projects", operation_id="list_projects", summary="List projects", responses=problems(in_project=False))
async def list_projects(
    query: Annotated[ListQuery, Query()],
    _operator: Operator,
    store: StoreOf,
    cursors: CursorsOf,
    request: Request,
    response: Response,
) -> ProjectPage:
    """List all projects in the byte order of their names."""
    after = cursors.open(query.cursor, "projects") if query.cursor is not None else ""
    found, last = await projects.list_projects(store, after, query.limit)
    next_cursor = cursors.seal(last, "projects") if last is not None else None
    uses = await projects.use_of(store, found)
    documents = [_document(project, use) for project, use in zip(found, uses, strict=True)]
    return page(ProjectPage, documents, next_cursor, request, response)
