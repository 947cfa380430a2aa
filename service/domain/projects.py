"""What the operator does with projects."""

from collections.abc import Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import Conflict, NotFound, Unavailable
from service.model import Project, ProjectLimits
from service.store import projects
from service.store.projects import ProjectUse
from service.store.store import Store
from service.store.transactions import transaction

# Looks at what is there (None: no such project) while it is locked, and raises PreconditionFailed if it is not wanted.
Condition = Callable[[ProjectLimits | None], None]


async def put_project(store: Store, name: str, limits: ProjectLimits, condition: Condition) -> tuple[Project, bool]:
    """Make a project, or give the existing one these limits; tell whether it was made. Raises PreconditionFailed."""

    async def work(connection: AsyncConnection) -> tuple[Project | None, Project]:
        old = await projects.find(connection, name, lock=True)
        condition(old.limits if old else None)
        if old is None:
            made = await projects.create(connection, name, limits)
            if made is not None:
                return None, made
            # Somebody else made it a moment ago.
            old = await projects.find(connection, name, lock=True)
            condition(old.limits if old else None)
        if old is None:
            raise Unavailable("The project was made and deleted at the same moment. Send the request again.")
        return old, await _limited(connection, old, limits)

    old, new = await transaction(store.engine, work)
    if old is not None:
        await _tell(store, old, new)
    return new, old is None


async def patch_project(store: Store, name: str, limits: ProjectLimits | None, condition: Condition) -> Project:
    """Replace a project's limits; None: leave them. Raises NotFound, PreconditionFailed."""

    async def work(connection: AsyncConnection) -> tuple[Project, Project]:
        old = await _found(connection, name, lock=True)
        condition(old.limits)
        return old, old if limits is None else await _limited(connection, old, limits)

    old, new = await transaction(store.engine, work)
    await _tell(store, old, new)
    return new


async def _limited(connection: AsyncConnection, old: Project, limits: ProjectLimits) -> Project:
    """Change a locked project, unless that changes nothing."""
    return old if limits == old.limits else await projects.limit(connection, old.id, limits)


async def _tell(store: Store, old: Project, new: Project) -> None:
    """Return when every process goes by the new limits."""
    if new.limits != old.limits:
        await store.wakeups.tell_of_project(new.id)


async def get_project(store: Store, name: str) -> Project:
    """Return a project. Raises NotFound."""
    return await transaction(store.engine, lambda connection: _found(connection, name))


async def list_projects(store: Store, after: str, limit: int) -> tuple[list[Project], str | None]:
    """Return a page of projects by name, and the name after which the next page begins."""
    found = await transaction(store.engine, lambda connection: projects.listed(connection, after, limit + 1))
    return found[:limit], found[limit - 1].name if len(found) > limit else None


async def use_of(store: Store, found: Sequence[Project]) -> list[ProjectUse]:
    """Return what each of these projects has."""
    ids = [project.id for project in found]
    return await transaction(store.engine, lambda connection: projects.used(connection, ids))


async def delete_project(store: Store, name: str, condition: Condition, *, force: bool) -> None:
    """Delete a project and its keys; `force`: its queues and their messages too.

    Raises NotFound, PreconditionFailed, Conflict.
    """

    async def work(connection: AsyncConnection) -> tuple[Project, list[tuple[int, str]]]:
        project = await _found(connection, name, lock=True)
        condition(project.limits)
        if not force and await projects.has_queues(connection, project.id):
            raise Conflict(f"The project {name!r} has queues. Delete them first, or all at once with ?force=true.")
        gone = await projects.remove_queues(connection, project.id)
        await projects.remove(connection, project.id)
        return project, gone

    project, gone = await transaction(store.engine, work)
    for queue_id, queue_name in gone:
        store.directory.forget(project.id, queue_name)
        store.wakeups.queue_changed(queue_id)


async def _found(connection: AsyncConnection, name: str, *, lock: bool = False) -> Project:
    project = await projects.find(connection, name, lock=lock)
    if project is None:
        raise NotFound("project", f"There is no project {name!r}. Create it with PUT /v1/projects/{name}.")
    return project
