"""Projects over HTTP, for the operator."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from service import model
from service.api.kit.callers import Operator
from service.api.kit.conditions import IsKnown, Precondition, etag, unchanged
from service.api.kit.documented import CHANGED, NOT_MODIFIED, problems
from service.api.kit.fields import Document, Fields, Time
from service.api.kit.json_requests import JsonRoute
from service.api.kit.lists import ListQuery, Page, PagingOf
from service.api.kit.paths import NO_PROJECT, ProjectName
from service.api.kit.queries import FLAG
from service.api.kit.state import KeyringOf, StoreOf
from service.domain import projects
from service.store.resources.projects import ProjectUse as StoredUse
from service.store.store import Store

router = APIRouter(route_class=JsonRoute, tags=["projects"])

_MOST = 2**53 - 1


def _count(description: str) -> Any:
    return Field(ge=0, le=_MOST, description=description)


class LimitFields(Fields):
    """The limits of a project, over all processes. A field that is null or omitted is unlimited."""

    queues: Annotated[int | None, _count("Number of queues; enforced exactly.")] = None
    messages: Annotated[int | None, _count("Stored messages in any state, over all queues.")] = None
    bytes: Annotated[int | None, _count("Stored bytes of bodies and headers, over all queues.")] = None
    requests_per_second: Annotated[
        int | None,
        Field(ge=1, le=1_000_000, description="Requests of any kind; further requests get rate_limited."),
    ] = None
    parked_receives: Annotated[int | None, _count("Receives waiting for a message at the same time.")] = None


class ProjectFields(Fields):
    """The complete configuration of a project. Omitted fields take their defaults."""

    limits: LimitFields = LimitFields()


class ProjectChanges(Fields):
    """The fields of a project's configuration to replace; null sets the default."""

    limits: LimitFields | None = None


class ProjectLimits(Document):
    """The limits of a project; null means unlimited."""

    queues: int | None
    messages: int | None
    bytes: int | None
    requests_per_second: int | None
    parked_receives: int | None


class ProjectUse(Document):
    """The resources that a project uses."""

    queues: int
    messages: Annotated[
        int | None,
        Field(description="As last counted, which happens on sends while messages or bytes are limited; null: never."),
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
    """A page of the projects."""


class DeleteQuery(BaseModel):
    """The options for deleting a project."""

    model_config = ConfigDict(extra="forbid")

    force: Annotated[bool, Field(description="Delete the project's queues and their messages too."), FLAG] = False


def limits_document(limits: model.ProjectLimits) -> ProjectLimits:
    """Return limits in the form of a response."""
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
    check: Precondition,
) -> Project:
    """Create a project (201), or replace its configuration (200). The request is idempotent."""
    limits = model.ProjectLimits(**dict(fields.limits))
    stored, created = await projects.put_project(store, project, limits, check)
    response.status_code = 201 if created else 200
    return await _answer(stored, store, response)


@router.patch(
    "/v1/projects/{project}",
    operation_id="patch_project",
    summary="Change a project",
    responses=problems({**NO_PROJECT, **CHANGED}, body=True, in_project=False),
)
async def patch_project(
    *,
    project: ProjectName,
    changes: ProjectChanges = _NO_CHANGES,
    _operator: Operator,
    store: StoreOf,
    response: Response,
    check: Precondition,
) -> Project:
    """Replace the given fields; null sets the default. `limits` is replaced as a whole.

    The limits apply to all requests sent after the response, through any process. Existing resources are kept even if
    they exceed the new limits.
    """
    limits = None
    if "limits" in changes.model_fields_set:
        limits = model.ProjectLimits(**dict(changes.limits or {}))
    return await _answer(await projects.patch_project(store, project, limits, check), store, response)


@router.get(
    "/v1/projects/{project}",
    operation_id="get_project",
    summary="Read a project",
    response_model=Project,
    responses=problems(NO_PROJECT, in_project=False) | NOT_MODIFIED,
)
async def get_project(
    *,
    project: ProjectName,
    _operator: Operator,
    store: StoreOf,
    response: Response,
    is_known: IsKnown,
) -> Any:
    """Return a project."""
    stored = await projects.get_project(store, project)
    if is_known(stored.limits):
        return unchanged(stored.limits)
    return await _answer(stored, store, response)


@router.delete(
    "/v1/projects/{project}",
    operation_id="delete_project",
    summary="Delete a project",
    status_code=204,
    response_class=Response,
    responses=problems(
        {**NO_PROJECT, **CHANGED, 409: "The project has queues, and `force` is not set: conflict."}, in_project=False
    ),
)
async def delete_project(
    *,
    project: ProjectName,
    query: Annotated[DeleteQuery, Query()],
    _operator: Operator,
    store: StoreOf,
    keyring: KeyringOf,
    check: Precondition,
) -> None:
    """Delete a project with its keys; with `force`, also its queues and their messages."""
    await projects.delete_project(store, project, check, force=query.force)
    keyring.forget()


@router.get("/v1/projects", operation_id="list_projects", summary="List projects", responses=problems(in_project=False))
async def list_projects(
    query: Annotated[ListQuery, Query()],
    _operator: Operator,
    store: StoreOf,
    paging: PagingOf,
) -> ProjectPage:
    """List all projects in the byte order of their names."""
    after = paging.after(query, "projects") or ""
    found, last = await projects.list_projects(store, after, query.limit)
    uses = await projects.use_of(store, found)
    documents = [_document(project, use) for project, use in zip(found, uses, strict=True)]
    return paging.page(ProjectPage, documents, last)
