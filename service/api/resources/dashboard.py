"""Serve the dashboard's files. Its sources are in `dashboard/`; in the browser it uses only the API."""

from pathlib import Path

from fastapi import APIRouter, Response
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from service.errors import Problem

BUNDLE = Path(__file__).parents[2] / "dashboard"

router = APIRouter(include_in_schema=False)

# No inline scripts or styles, no external resources, no strings used as code or markup, no framing.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # The page must be current, because it refers to scripts whose names change with their content.
    "Cache-Control": "no-cache",
}


class DashboardIsMissing(Problem):
    """The service runs from a checkout in which the dashboard has not been built."""

    code = "not_found"
    status = 404
    title = "The dashboard is not built"


@router.get("/dashboard")
@router.get("/dashboard/{view:path}")
async def dashboard(view: str = "") -> Response:
    """Return the dashboard's page. Its script selects the view from the path."""
    page = BUNDLE / "index.html"
    if view.startswith("assets/") or not page.exists():
        raise DashboardIsMissing(
            "Build it with `make bundle`, which needs Node 20.19 or newer. /docs describes the API."
        )
    return FileResponse(page, headers=_HEADERS)


class _Assets(StaticFiles):
    """Files whose names contain a hash of their content, so that browsers can cache them for ever."""

    def file_response(self, *args: object, **named: object) -> Response:
        response = super().file_response(*args, **named)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def assets() -> ASGIApp:
    """Return the application that serves /dashboard/assets."""
    return GZipMiddleware(_Assets(directory=BUNDLE / "assets", check_dir=False))
