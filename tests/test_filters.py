"""A filter matches what it says, to the letter; what is no filter is refused where it is wrong."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import InvalidRequest
from service.filters import Router, Subject, parse
from service.message import Draft


def subject(body: Any = None, headers: dict[str, str] | None = None, *, raw: bytes | None = None) -> Subject:
    text = json.dumps(body).encode() if raw is None else raw
    return Subject(Draft(text, len(text), headers=json.dumps(headers).encode() if headers else None))


def matches(wanted: dict[str, Any], of: Subject) -> bool:
    return parse(wanted).fails(of) is None


@pytest.mark.parametrize(
    ("conditions", "body", "expected"),
    [
        (["a"], "a", True),
        (["a"], "b", False),
        (["a", "b"], "b", True),
        ([1], 1.0, True),
        ([1.0], 1, True),
        ([0.1], 0.1, True),
        ([1], True, False),
        ([True], 1, False),
        ([True], True, True),
        ([None], None, True),
        ([None], False, False),
        (["1"], 1, False),
        ([2**70], 2**70, True),
        ([2**70], 2**70 + 1, False),
        (["a"], ["b", "a"], True),
        (["a"], [["a"]], False),
        (["a"], [], False),
        (["a"], {"a": 1}, False),
        ([{"prefix": "ab"}], "abc", True),
        ([{"prefix": "ab"}], "a", False),
        ([{"prefix": "1"}], 12, False),
        ([{"prefix": ""}], "", True),
        ([{"numeric": [">=", 1, "<", 5]}], 1, True),
        ([{"numeric": [">=", 1, "<", 5]}], 5, False),
        ([{"numeric": ["=", 3]}], [1, 3.0], True),
        ([{"numeric": [">", 0]}], "7", True),
        ([{"numeric": [">", 0]}], "07", False),
        ([{"numeric": [">", 0]}], " 7", False),
        ([{"numeric": [">", 0]}], True, False),
        ([{"exists": True}], None, True),
        ([{"exists": True}], [], True),
        ([{"exists": False}], None, False),
        ([{"anything_but": ["a", 1]}], "b", True),
        ([{"anything_but": ["a", 1]}], "a", False),
        ([{"anything_but": ["a", 1]}], 1.0, False),
        ([{"anything_but": ["a"]}], ["a", "b"], True),
        ([{"anything_but": ["a"]}], ["a"], False),
        ([{"anything_but": ["a"]}], {"x": 1}, True),
    ],
)
def test_a_field_of_the_body_meets_a_condition(conditions: list[Any], body: Any, expected: bool) -> None:  # noqa: FBT001
    assert matches({"body": {"/f": conditions}}, subject({"f": body})) is expected


def test_a_missing_field_meets_only_that_it_does_not_exist() -> None:
    for conditions in (["a"], [None], [{"prefix": ""}], [{"anything_but": ["a"]}], [{"numeric": [">", 0]}]):
        assert not matches({"body": {"/f": conditions}}, subject({}))
        assert not matches({"headers": {"f": conditions}}, subject({}))
    assert matches({"body": {"/f": [{"exists": False}]}}, subject({}))
    assert matches({"headers": {"f": [{"exists": False}]}}, subject({}))
    assert matches({"headers": {"f": ["a", {"exists": False}]}}, subject({}))


def test_a_place_in_the_body_is_a_json_pointer() -> None:
    body = {"a/b": {"~": [10, {"x": 1}]}, "": 2, "l": ["p", "q"]}
    for pointer, value in (("/a~1b/~0/0", 10), ("/a~1b/~0/1/x", 1), ("/", 2), ("/l/1", "q"), ("/l", "p")):
        assert matches({"body": {pointer: [value]}}, subject(body)), pointer
    for pointer in ("/l/" + "1" * 5000, "/l/\u0661", "/l/2", "/l/01", "/l/-1", "/l/+1", "/l/-", "/a", "/l/0/x"):
        assert matches({"body": {pointer: [{"exists": False}]}}, subject(body)), pointer
    assert matches({"body": {"": ["whole"]}}, subject("whole"))


def test_headers_are_strings_whatever_the_case_of_their_names() -> None:
    of = subject(headers={"color": "red", "size": "12"})
    assert matches({"headers": {"Color": ["red"], "SIZE": [{"numeric": ["<=", 12]}]}}, of)
    assert not matches({"headers": {"size": [12]}}, of)


def test_what_is_not_json_has_no_fields() -> None:
    octets = Subject(Draft(b'{"a":1}', 7, is_json=False))
    assert not matches({"body": {"/a": [1]}}, octets)
    assert matches({"body": {"/a": [{"exists": False}]}}, octets)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1e999999999999999999999}',
        b'{"a":' + b"9" * 10_000 + b"}",
        b'{"a":"\\ud800"}',
        b'{"a":' + b"[" * 899 + b"]" * 899 + b"}",
        b'{"a":2,"a":1e-400}',
        b'{"a":-0}',
    ],
    ids=["beyond numbers", "ten thousand digits", "half a pair", "deep", "twice", "minus nothing"],
)
def test_any_body_can_be_looked_at(raw: bytes) -> None:
    for condition in ("x", 5, {"numeric": [">", 1, "<", 2]}, {"prefix": "x"}):
        assert not matches({"body": {"/a": [condition]}}, subject(raw=raw))
    assert matches({"body": {"/a": [{"exists": True}]}}, subject(raw=raw))


def test_all_parts_have_to_hold_and_one_of_any() -> None:
    wanted = {
        "headers": {"h": ["1"]},
        "body": {"/b": [1]},
        "all": [{"body": {"/c": [1]}}],
        "any": [{"body": {"/d": [1]}}, {"body": {"/e": [1]}, "any": [{"headers": {"h": ["1"]}}]}],
    }
    good: dict[str, Any] = {"b": 1, "c": 1, "e": 1}
    assert matches(wanted, subject(good, {"h": "1"}))
    assert not matches(wanted, subject(good))
    failed = {name: parse(wanted).fails(subject({**good, name: 2}, {"h": "1"})) for name in "bce"}
    assert failed == {"b": "/filter/body/~1b", "c": "/filter/all/0/body/~1c", "e": "/filter/any"}
    assert matches({}, subject(good))


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"header": {}}, "/filter/header"),
        ({"headers": []}, "/filter/headers"),
        ({"headers": {"a": []}}, "/filter/headers/a"),
        ({"headers": {"a": "x"}}, "/filter/headers/a"),
        ({"headers": {"a b": ["x"]}}, "/filter/headers/a b"),
        ({"body": {"a": ["x"]}}, "/filter/body/a"),
        ({"body": {"/a~2": ["x"]}}, "/filter/body/~1a~02"),
        ({"body": {"/a": [[]]}}, "/filter/body/~1a/0"),
        ({"body": {"/a": [{}]}}, "/filter/body/~1a/0"),
        ({"body": {"/a": [{"prefix": "a", "exists": True}]}}, "/filter/body/~1a/0"),
        ({"body": {"/a": [{"suffix": "a"}]}}, "/filter/body/~1a/0"),
        ({"body": {"/a": [{"prefix": 1}]}}, "/filter/body/~1a/0/prefix"),
        ({"body": {"/a": [{"exists": 1}]}}, "/filter/body/~1a/0/exists"),
        ({"body": {"/a": [{"anything_but": []}]}}, "/filter/body/~1a/0/anything_but"),
        ({"body": {"/a": [{"anything_but": [[]]}]}}, "/filter/body/~1a/0/anything_but"),
        ({"body": {"/a": [{"numeric": [">"]}]}}, "/filter/body/~1a/0/numeric"),
        ({"body": {"/a": [{"numeric": [">", "1"]}]}}, "/filter/body/~1a/0/numeric"),
        ({"body": {"/a": [{"numeric": ["!=", 1]}]}}, "/filter/body/~1a/0/numeric"),
        ({"body": {"/a": [{"numeric": [[], 1]}]}}, "/filter/body/~1a/0/numeric"),
        ({"any": []}, "/filter/any"),
        ({"any": {}}, "/filter/any"),
        ({"all": ["x"]}, "/filter/all/0"),
        ({"any": [{"any": [{"any": [{"any": [{"any": [{}]}]}]}]}]}, "/filter/any/0/any/0/any/0/any/0/any/0"),
        ({"headers": {"a": ["x"] * 101}}, "/filter"),
        ({"body": {"/a": ["\ud800"]}}, "/filter"),
        ({"body": {"/\ud800": ["x"]}}, "/filter"),
        ({"body": {"/a": [{"prefix": "\udfff"}]}}, "/filter"),
        ({"body": {"/a": [float("inf")]}}, "/filter"),
        ({"body": {"/a": [{"numeric": ["<", float("-inf")]}]}}, "/filter"),
    ],
)
def test_what_is_no_filter_is_refused_where_it_is_wrong(wanted: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(wanted)
    assert [error.pointer for error in refused.value.errors] == [pointer]


scalars = st.sampled_from(["a", "b", 1, 1.0, 2, True, False, None])
conditions = st.lists(
    scalars
    | st.builds(lambda text: {"prefix": text}, st.sampled_from(["", "a"]))
    | st.builds(lambda there: {"exists": there}, st.booleans())
    | st.builds(lambda scalar: {"anything_but": [scalar]}, scalars),
    min_size=1,
    max_size=3,
)
fields = st.dictionaries(st.sampled_from(["/x", "/y"]), conditions, max_size=2)
filters = st.recursive(
    st.builds(lambda body: {"body": body}, fields),
    lambda parts: st.fixed_dictionaries(
        {"body": fields}, optional={"any": st.lists(parts, min_size=1, max_size=2), "all": st.lists(parts, min_size=1)}
    ),
    max_leaves=3,
)
bodies = st.dictionaries(st.sampled_from(["x", "y"]), scalars | st.lists(scalars, max_size=2), max_size=2)


@settings(max_examples=300, deadline=None)
@given(st.lists(filters, max_size=6), bodies)
def test_many_filters_at_once_are_as_each_by_itself(wanted: list[dict[str, Any]], body: dict[str, Any]) -> None:
    parsed = [parse(one) for one in wanted]
    each = [place for place, one in enumerate(parsed) if one.fails(subject(body)) is None]
    assert Router(parsed).matching(subject(body)) == each
