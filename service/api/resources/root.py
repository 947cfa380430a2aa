"""The service's root path: redirects browsers to the dashboard, and lists the entry points for programs."""

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from service import __version__
from service.api.kit.fields import Document

router = APIRouter(include_in_schema=False)


class Root(Document):
    """The service's name, version and entry points, as relative references that also work behind a proxy's prefix."""

    name: str = "Restante"
    version: str = __version__
    api: str = "v1"
    openapi: str = "openapi.json"
    docs: str = "docs"
    dashboard: str = "dashboard"


@router.get("/", response_model=Root)
async def root(request: Request) -> Root | Response:
    """Redirect browsers to the dashboard; return the entry points to other clients."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("dashboard", 303, headers={"Vary": "Accept"})
    return Root()
