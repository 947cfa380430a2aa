"""What the operator does with projects."""

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import Conflict, NotFound, Unavailable
from service.model import Project
from service.store import projects
from service.store.store import Store
from service.store.transactions import transaction


async def put_project(store: Store, name: str) -> tuple[Project, bool]:
    """Make a project; tell whether it was made now."""

    async def work(connection: AsyncConnection) -> tuple[Project, bool]:
        made = await projects.create(connection, name)
        if made is not None:
            return made, True
        there = await projects.find(connection, name)
        if there is None:
            raise Unavailable("The project was made and deleted at the same moment. Send the request again.")
        return there, False

    return await transaction(store.engine, work)


async def get_project(store: Store, name: str) -> Project:
    """Return a project. Raises NotFound."""
    return await transaction(store.engine, lambda connection: _found(connection, name))


async def list_projects(store: Store, after: str, limit: int) -> tuple[list[Project], str | None]:
    """Return a page of projects by name, and the name after which the next page begins."""
    found = await transaction(store.engine, lambda connection: projects.listed(connection, after, limit + 1))
    return found[:limit], found[limit - 1].name if len(found) > limit else None


async def delete_project(store: Store, name: str, *, force: bool) -> None:
    """Delete a project and its keys; `force`: its queues and their messages too. Raises NotFound, Conflict."""

    async def work(connection: AsyncConnection) -> tuple[Project, list[tuple[int, str]]]:
        project = await _found(connection, name, lock=True)
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
