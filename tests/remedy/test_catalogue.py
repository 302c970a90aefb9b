"""All runbooks: order of search, doubles, broken files, and the pack's own."""

from __future__ import annotations

import pytest

from selfheal.config import Config
from selfheal.exceptions import ConfigError, NotFound
from selfheal.remedy import catalogue
from tests.remedy import scenes


def test_the_first_of_two_with_one_name_is_taken_and_the_other_is_named(tmp_path):
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for folder, risk in ((mine, "read-only"), (theirs, "destructive")):
        folder.mkdir()
        scenes.write_runbook(folder, risk=risk)
    found = catalogue.load([str(mine / "runbooks"), str(theirs / "runbooks")])
    assert [(book.name, book.risk) for book in found.runbooks] == [("restart_shop", "read-only")]
    assert found.shadowed == (str(theirs / "runbooks" / "restart_shop.yaml"),)


def test_a_broken_file_is_named_and_hides_no_other(tmp_path):
    scenes.write_runbook(tmp_path, name="good")
    scenes.write_runbook(tmp_path, name="bad", risk="none")
    (tmp_path / "runbooks" / "notes.txt").write_text("not a runbook")
    (tmp_path / "runbooks" / "dir.yaml").mkdir()
    found = catalogue.load([str(tmp_path / "runbooks"), str(tmp_path / "missing")])
    assert [book.name for book in found.runbooks] == ["good"]
    assert [broken.path.rsplit("/", 1)[1] for broken in found.broken] == [
        "bad.yaml",
        "dir.yaml",
        "missing",
    ]
    assert "risk must be one of" in found.broken[0].error


def test_the_users_directories_come_before_the_packs():
    paths = catalogue.search_paths(Config({"resolver": {"runbook_paths": ["/a", "/b"]}}))
    assert paths == ["/a", "/b", str(catalogue.PACK_RUNBOOKS)]


def test_a_setting_that_is_no_list_is_an_error():
    with pytest.raises(ConfigError, match="resolver.runbook_paths"):
        catalogue.search_paths(Config({"resolver": {"runbook_paths": "/a"}}))


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(NotFound, match="No such file"):
        catalogue.read(str(tmp_path / "none.yaml"))


def test_every_runbook_of_the_pack_can_be_read_and_has_a_description():
    found = catalogue.load([str(catalogue.PACK_RUNBOOKS)])
    assert found.broken == () and found.shadowed == ()
    assert len(found.runbooks) >= 3
    assert all(book.description for book in found.runbooks)
