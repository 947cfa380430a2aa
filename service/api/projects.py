"""Projects over HTTP: the operator's."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service import model
from service.api.callers import Operator
from service.api.documented import problems
from service.api.fields import Document, Fields, Time
from service.api.json_requests import JsonRoute
from service.api.lists import ListQuery, Page, page
from service.api.state import CursorsOf, KeyringOf, StoreOf
from service.domain import projects
from service.model import NAME_PATTERN

router = APIRouter(route_class=JsonRoute, tags=["projects"])

_NO_PROJECT = {404: "There is no such project: project_not_found."}

ProjectName = Annotated[str, Path(pattern=NAME_PATTERN, description="The project's name.")]


class ProjectFields(Fields):
    """A project's configuration. Limits are planned; it has no fields yet."""


class Project(Document):
    """A project."""

    name: str
    created_at: Time
    updated_at: Time


_NO_FIELDS = ProjectFields()


class ProjectPage(Page[Project]):
    """Some of the projects."""


class DeleteQuery(BaseModel):
    """How to delete a project."""

    model_config = ConfigDict(extra="forbid")

    force: Annotated[bool, Field(description="Delete its queues and their messages too.")] = False


def _document(project: model.Project) -> Project:
    return Project(name=project.name, created_at=project.created_at, updated_at=project.updated_at)


@router.put(
    "/v1/projects/{project}",
    operation_id="put_project",
    summary="Create a project",
    responses=problems(body=True) | {201: {"description": "Created.", "model": Project}},
)
async def put_project(
    *,
    project: ProjectName,
    _fields: ProjectFields = _NO_FIELDS,
    _operator: Operator,
    store: StoreOf,
    response: Response,
) -> Project:
    """Create a project (201). If it is there, nothing changes (200)."""
    stored, created = await projects.put_project(store, project)
    response.status_code = 201 if created else 200
    return _document(stored)


@router.patch(
    "/v1/projects/{project}",
    operation_id="patch_project",
    summary="Change a project",
    responses=problems(_NO_PROJECT, body=True),
)
async def patch_project(
    *, project: ProjectName, _fields: ProjectFields = _NO_FIELDS, _operator: Operator, store: StoreOf
) -> Project:
    """Replace the fields given. There are none yet."""
    return _document(await projects.get_project(store, project))


@router.get(
    "/v1/projects/{project}", operation_id="get_project", summary="Read a project", responses=problems(_NO_PROJECT)
)
async def get_project(project: ProjectName, _operator: Operator, store: StoreOf) -> Project:
    """Return a project."""
    return _document(await projects.get_project(store, project))


@router.delete(
    "/v1/projects/{project}",
    operation_id="delete_project",
    summary="Delete a project",
    status_code=204,
    response_class=Response,
    responses=problems({**_NO_PROJECT, 409: "It has queues, and `force` is not set: conflict."}),
)
async def delete_project(
    project: ProjectName,
    query: Annotated[DeleteQuery, Query()],
    _operator: Operator,
    store: StoreOf,
    keyring: KeyringOf,
) -> None:
    """Delete a project with its keys; with `force` its queues and their messages too."""
    await projects.delete_project(store, project, force=query.force)
    keyring.forget()


@router.get("/v1/projects", operation_id="list_projects", summary="List projects", responses=problems())
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
    return page(ProjectPage, [_document(project) for project in found], next_cursor, request, response)
