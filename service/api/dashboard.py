"""The dashboard: files for the browser, which talks to the API alone. How they are made: `dashboard/`."""

from pathlib import Path

from fastapi import APIRouter, Response
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from service.errors import Problem

BUNDLE = Path(__file__).parent.parent / "dashboard"

router = APIRouter(include_in_schema=False)

# Nothing inline, nothing from elsewhere, no string that becomes code or markup, in no frame.
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
    # The page names its scripts, whose names change with their content.
    "Cache-Control": "no-cache",
}


class DashboardIsMissing(Problem):
    """The service was started from a checkout in which the dashboard has not been built."""

    code = "not_found"
    status = 404
    title = "The dashboard is not built"


@router.get("/dashboard")
@router.get("/dashboard/{view:path}")
async def dashboard(view: str = "") -> Response:
    """Show the dashboard; which of its views it is, its script reads from the path."""
    page = BUNDLE / "index.html"
    if view.startswith("assets/") or not page.exists():
        raise DashboardIsMissing("`make bundle` builds it, with Node 20.19 or newer. The API is described at /docs.")
    return FileResponse(page, headers=_HEADERS)


class _Assets(StaticFiles):
    """Files whose names have a hash of their content in them."""

    def file_response(self, *args: object, **named: object) -> Response:
        response = super().file_response(*args, **named)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def assets() -> ASGIApp:
    """Return the application that answers below /dashboard/assets."""
    return GZipMiddleware(_Assets(directory=BUNDLE / "assets", check_dir=False))
