"""Projects, as managed by the operator."""

from collections.abc import Sequence

from service.domain.conditions import ConfigCheck
from service.errors import Conflict, NotFound
from service.model import Project, ProjectLimits
from service.store.database.transaction import Collided, Connection
from service.store.resources import projects
from service.store.resources.projects import ProjectUse
from service.store.store import Store


async def put_project(
    store: Store, name: str, limits: ProjectLimits, condition: ConfigCheck[ProjectLimits]
) -> tuple[Project, bool]:
    """Create a project or set the limits of the existing one; return whether it is new. Raises PreconditionFailed."""

    async def work(connection: Connection) -> tuple[Project | None, Project]:
        old = await projects.find(connection, name, lock=True)
        condition(old.limits if old else None)
        if old is None:
            made = await projects.create(connection, name, limits)
            if made is None:
                raise Collided
            return None, made
        return old, await _limited(connection, old, limits)

    old, new = await store.transaction(work)
    if old is not None:
        await _notify(store, old, new)
    return new, old is None


async def patch_project(
    store: Store, name: str, limits: ProjectLimits | None, condition: ConfigCheck[ProjectLimits]
) -> Project:
    """Replace a project's limits; None leaves them as they are. Raises NotFound, PreconditionFailed."""

    async def work(connection: Connection) -> tuple[Project, Project]:
        old = await _found(connection, name, lock=True)
        condition(old.limits)
        return old, old if limits is None else await _limited(connection, old, limits)

    old, new = await store.transaction(work)
    await _notify(store, old, new)
    return new


async def _limited(connection: Connection, old: Project, limits: ProjectLimits) -> Project:
    """Set the limits of a locked project unless they are the same."""
    return old if limits == old.limits else await projects.limit(connection, old.id, limits)


async def _notify(store: Store, old: Project, new: Project) -> None:
    """Wait until every process applies the new limits."""
    if new.limits != old.limits:
        await store.wakeups.tell_of_project(new.id)


async def get_project(store: Store, name: str) -> Project:
    """Return a project. Raises NotFound."""
    return await store.transaction(lambda connection: _found(connection, name))


async def list_projects(store: Store, after: str, limit: int) -> tuple[list[Project], str | None]:
    """Return a page of projects by name, and the name after which the next page begins."""
    found = await store.transaction(lambda connection: projects.listed(connection, after, limit + 1))
    return found[:limit], found[limit - 1].name if len(found) > limit else None


async def use_of(store: Store, found: Sequence[Project]) -> list[ProjectUse]:
    """Return what each project uses of its limits."""
    ids = [project.id for project in found]
    return await store.transaction(lambda connection: projects.used(connection, ids))


async def delete_project(store: Store, name: str, condition: ConfigCheck[ProjectLimits], *, force: bool) -> None:
    """Delete a project and its keys; with `force`, also its queues and their messages.

    Raises NotFound, PreconditionFailed, Conflict.
    """

    async def work(connection: Connection) -> tuple[Project, list[tuple[int, str]]]:
        project = await _found(connection, name, lock=True)
        condition(project.limits)
        if not force and await projects.has_queues(connection, project.id):
            raise Conflict(f"The project {name!r} has queues. Delete them first, or all at once with ?force=true.")
        gone = await projects.remove_queues(connection, project.id)
        await projects.remove(connection, project.id)
        return project, gone

    project, gone = await store.transaction(work)
    for queue_id, queue_name in gone:
        store.directory.forget(project.id, queue_name)
        store.wakeups.queue_changed(queue_id)


async def _found(connection: Connection, name: str, *, lock: bool = False) -> Project:
    project = await projects.find(connection, name, lock=lock)
    if project is None:
        raise NotFound("project", f"There is no project {name!r}. Create it with PUT /v1/projects/{name}.")
    return project
