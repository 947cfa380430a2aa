"""One name, one thing: a class or an alias of types has a name of its own in all of service/."""

import ast
from collections import defaultdict
from pathlib import Path

_SERVICE = Path(__file__).parents[1] / "service"

# What the API shows of a noun is called as the noun itself: both mean the same thing, once for the wire.
_SHOWN = {
    *(
        "Activity",
        "Attempt",
        "Database",
        "DeadLetter",
        "DeadLetterGroup",
        "Holder",
        "Key",
        "MessageAttempt",
        "Overview",
    ),
    *(
        "MessageAttempt",
        "Overview",
        "Project",
        "ProjectLimits",
        "ProjectUse",
        "Published",
        "Queue",
        "QueueStats",
        "Subscription",
        "Task",
    ),
    *("Topic", "WaitingFor", "Webhook"),
}


def _defined(file: Path) -> list[str]:
    """Return the classes and aliases that a module defines."""
    names: list[str] = []
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name.lstrip("_")[:1].isupper() and not name.isupper() and not isinstance(node.value, ast.Constant):
                names.append(name)
    return [name for name in names if name != "T"]


def test_no_class_or_alias_has_the_name_of_another_but_for_what_the_api_shows_of_it() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for file in sorted(_SERVICE.rglob("*.py")):
        for name in _defined(file):
            places[name].append(str(file.relative_to(_SERVICE)))
    twice = {name: files for name, files in places.items() if len(files) > 1}
    shown = {name: files for name, files in twice.items() if name in _SHOWN}
    assert {name: files for name, files in twice.items() if name not in shown} == {}
    for name, files in shown.items():
        assert len(files) == 2, name
        assert len([file for file in files if file.startswith("api/")]) == 1, name
    assert shown.keys() == _SHOWN
