import dataclasses
import json

import fsspec
import pytest

from packages.common.errors import InvalidInputError, SchemaMismatchError
from services.registry.package import ModelPackage, load_package, save_package

PACKAGE = ModelPackage(
    boosters={"er_long": "tree\nTree=0\n", "er_short": "tree\nTree=1\n"},
    schema={"version": 1, "keys": ["ret_1"]},
    label_spec={"hash": "h", "k_tp": 1.5},
    manifest={"split": {"train": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}}},
    reference={"rows": 3},
    metrics={"rmse": 0.1},
)


@pytest.fixture(params=["file", "s3"])
def saved(request, tmp_path):
    return save_package(
        PACKAGE, f"{request.getfixturevalue('s3_url') if request.param == 's3' else tmp_path.as_uri()}/m"
    )


def files(url):
    return fsspec.core.url_to_fs(url)


def test_a_package_comes_back_as_it_was(saved):
    assert load_package(saved, expected_hash=PACKAGE.content_hash) == PACKAGE
    assert saved.endswith(PACKAGE.content_hash[:16])


def test_saving_again_changes_nothing(saved):
    fs, root = files(saved)
    before = {path: fs.cat_file(path) for path in fs.find(root)}
    assert save_package(PACKAGE, saved.rpartition("/")[0]) == saved
    assert {path: fs.cat_file(path) for path in fs.find(root)} == before


def test_equal_content_is_the_same_model_and_any_change_is_another():
    same = dataclasses.replace(PACKAGE, schema={"keys": ["ret_1"], "version": 1})
    assert (same.content_hash, same.model_id) == (PACKAGE.content_hash, PACKAGE.model_id)
    for change in ({"metrics": {"rmse": 0.2}}, {"boosters": {"er_long": "x"}}, {"label_spec": {"hash": "i"}}):
        assert dataclasses.replace(PACKAGE, **change).content_hash != PACKAGE.content_hash


@pytest.mark.parametrize("name", ["boosters/er_long.txt", "metrics.json", "schema.json", "label_spec.json"])
def test_one_changed_byte_is_refused(saved, name):
    fs, root = files(saved)
    data = bytearray(fs.cat_file(f"{root}/{name}"))
    data[-2] ^= 1
    fs.pipe_file(f"{root}/{name}", bytes(data))
    with pytest.raises(SchemaMismatchError, match=name):
        load_package(saved)


def test_a_changed_file_with_its_hash_changed_too_is_refused(saved):
    fs, root = files(saved)
    content = json.loads(fs.cat_file(f"{root}/content.json"))
    content["files"]["metrics.json"] = "0" * 64
    fs.pipe_file(f"{root}/content.json", json.dumps(content).encode())
    with pytest.raises(SchemaMismatchError, match="hash"):
        load_package(saved)


def test_a_missing_an_added_and_an_unfinished_package_are_refused(saved):
    fs, root = files(saved)
    fs.pipe_file(f"{root}/boosters/extra.txt", b"x")
    with pytest.raises(SchemaMismatchError, match=r"extra\.txt"):
        load_package(saved)
    fs.rm_file(f"{root}/boosters/extra.txt")
    fs.rm_file(f"{root}/metrics.json")
    with pytest.raises(SchemaMismatchError, match=r"metrics\.json"):
        load_package(saved)
    fs.rm_file(f"{root}/content.json")
    with pytest.raises(InvalidInputError, match="complete model package"):
        load_package(saved)


@pytest.mark.parametrize("left", [b"", b'{"files": {'])
def test_a_package_killed_at_its_last_write_is_refused_and_can_be_saved_again(saved, left):
    fs, root = files(saved)
    fs.pipe_file(f"{root}/content.json", left)
    with pytest.raises(InvalidInputError, match="complete model package"):
        load_package(saved)
    assert save_package(PACKAGE, saved.rsplit("/", 1)[0]) == saved
    assert load_package(saved) == PACKAGE


def test_another_package_than_the_registered_one_is_refused(saved):
    with pytest.raises(SchemaMismatchError, match="expected abc"):
        load_package(saved, expected_hash="abc")


def test_nan_is_not_written():
    with pytest.raises(ValueError, match="JSON"):
        _ = dataclasses.replace(PACKAGE, metrics={"x": float("nan")}).content_hash
