"""What builds and starts Restante elsewhere names only what is there."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from service import __version__
from service.api.resources.dashboard import BUNDLE

_ROOT = Path(__file__).parents[1]
_TARGETS = (
    "run",
    "test",
    "check",
    "fix",
    "bench",
    "openapi",
    "lock",
    "image",
    "clean",
    "dashboard",
    "bundle",
    "screenshots",
)


def read(name: str) -> str:
    return (_ROOT / name).read_text("utf-8")


def instructions(name: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions with their arguments, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", read(name), flags=re.MULTILINE))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


def test_the_image_copies_what_exists_and_the_builder_gets_it() -> None:
    sent = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    copied = [
        source
        for instruction, argument in instructions("Dockerfile")
        if instruction == "COPY" and not argument.startswith("--from")
        for source in argument.split()[:-1]
    ]
    assert set(copied) == sent
    assert all((_ROOT / source).exists() for source in copied)


def test_the_image_runs_as_an_ordinary_user_with_its_data_in_a_volume_and_a_health_check() -> None:
    stage = instructions("Dockerfile")
    last = dict(stage[max(index for index, (name, _) in enumerate(stage) if name == "FROM") :])
    assert last["USER"] not in {"root", "0"}
    assert f"RESTANTE_DATA_DIR={last['VOLUME']}" in last["ENV"]
    assert "/healthz" in last["HEALTHCHECK"]
    assert last["CMD"] == '["restante", "serve"]'
    scripts = tomllib.loads(read("pyproject.toml"))["project"]["scripts"]
    assert "restante" in scripts
    assert all(
        re.fullmatch(r"python:\$\{PYTHON\}-slim-\w+( AS build)?", name)
        for instruction, name in stage
        if instruction == "FROM"
    )


def test_the_health_check_is_a_program_that_compiles() -> None:
    command = next(argument for name, argument in instructions("Dockerfile") if name == "HEALTHCHECK").split("CMD ")[1]
    words = yaml.safe_load(command)
    assert words[:2] == ["python", "-c"]
    compile(words[2], "healthcheck", "exec")


def test_the_compose_file_starts_the_service_on_a_healthy_database_of_its_own() -> None:
    compose = yaml.safe_load(read("compose.yaml"))
    service, postgres = compose["services"]["restante"], compose["services"]["postgres"]
    assert (_ROOT / service["build"] / "Dockerfile").exists()
    assert service["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert "healthcheck" in postgres
    assert "@postgres/" in service["environment"]["RESTANTE_DATABASE_URL"]
    assert "RESTANTE_SECRET_KEY" in service["environment"]
    mounted = {volume.split(":")[0] for volume in (*service["volumes"], *postgres["volumes"])}
    assert mounted == set(compose["volumes"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_every_target_is_listed_with_what_it_does() -> None:
    listed = subprocess.run(["make", "-C", _ROOT, "help"], capture_output=True, text=True, check=True).stdout
    for target in _TARGETS:
        assert re.search(rf"^  make {target} +\w", listed, re.MULTILINE), target


def test_continuous_integration_calls_make_test() -> None:
    assert os.access(_ROOT / ".ci/run", os.X_OK)
    subprocess.run(["bash", "-n", _ROOT / ".ci/run"], check=True)
    assert re.search(r"^make .*\btest$", read(".ci/run"), re.MULTILINE)


def test_the_two_commands_stand_at_the_top_of_the_readme() -> None:
    top = read("README.md").split("\n\n")[1]
    assert "make run" in top
    assert "make test" in top


@pytest.mark.parametrize("lock", sorted(path.name for path in _ROOT.glob("requirements*.lock")))
def test_locks_have_a_hash_for_everything_and_no_address(lock: str) -> None:
    text = read(lock)
    assert "://" not in text
    wanted = re.findall(r"^[\w.-]+(?:\[[\w,-]+\])?==", text, re.MULTILINE)
    hashed = re.findall(r"^[\w.-]+(?:\[[\w,-]+\])?==[^\n]*\\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(wanted) == len(hashed) > 0


def test_the_wheel_carries_the_migrations_the_statements_the_dashboard_and_the_license(tmp_path: Path) -> None:
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        "wheel",
        "--directory",
        tmp_path,
    ]
    subprocess.run(command, cwd=_ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    needed = {
        str(path.relative_to(_ROOT))
        for package in ("service", "migrations")
        for path in (_ROOT / package).rglob("*")
        if path.suffix in {".py", ".sql"}
    }
    built = {str(path.relative_to(_ROOT)) for path in BUNDLE.rglob("*") if path.is_file()}
    assert "service/dashboard/index.html" in built
    assert needed | built <= packed
    assert any(name.endswith("licenses/LICENSE") for name in packed)


def test_the_package_and_the_service_have_the_same_version() -> None:
    assert tomllib.loads(read("pyproject.toml"))["project"]["version"] == __version__


def test_every_dependency_is_in_the_lock() -> None:
    project = tomllib.loads(read("pyproject.toml"))
    named = [re.match(r"[\w-]+", wanted) for wanted in project["project"]["dependencies"]]
    missing = [
        name[0]
        for name in named
        if name and not re.search(rf"^{name[0]}(\[.*\])?==", read("requirements.lock"), re.MULTILINE)
    ]
    assert missing == []
