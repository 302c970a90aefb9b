"""Log files that are rotated, replaced, copied or deleted: every error line once all the same."""

from __future__ import annotations

import os

from tests.intake.log_scene import Machine, errors


def test_rename_and_new_file(machine):
    machine.look()
    machine.write("app.log", *errors(1, 2))
    machine.look()
    machine.write("app.log", *errors(3, 4))
    machine.rename("app.log", "app.log.1")
    machine.write("app.log", *errors(5, 6))
    machine.look()
    machine.write("app.log.1", *errors(7, 7))  # a program that has not noticed yet
    machine.look()
    assert machine.stored() == errors(1, 7)


def test_a_look_between_rename_and_creation(machine):
    machine.write("app.log", *errors(1, 2))
    machine.look()
    machine.write("app.log", *errors(3, 3))
    machine.rename("app.log", "app.log.1")
    machine.look()
    machine.write("app.log", *errors(4, 4))
    machine.look()
    machine.rename("app.log.1", "app.log.2")
    machine.rename("app.log", "app.log.1")
    machine.look()
    machine.write("app.log", *errors(5, 5))
    machine.look()
    assert machine.stored() == errors(3, 5)


def test_copy_and_truncate(machine):
    machine.write("app.log", *errors(1, 2))
    machine.look()
    machine.write("app.log", *errors(3, 4))
    machine.look()
    machine.write("app.log", *errors(5, 6))
    machine.copy_and_truncate("app.log", "app.log.1")
    machine.write("app.log", *errors(7, 7))
    machine.look()
    assert machine.stored() == errors(3, 7)


def test_copy_and_truncate_of_a_file_that_was_empty_at_the_last_look(machine):
    machine.write_bytes("app.log", b"")
    machine.look()
    machine.clock.at += 1
    machine.write("app.log", *errors(1, 3))
    machine.copy_and_truncate("app.log", "app.log.1")
    machine.write("app.log", *errors(4, 4))
    machine.look()
    assert machine.stored() == errors(1, 4)


def test_a_truncated_file_that_has_outgrown_its_old_size(machine):
    machine.write("app.log", "first error of all")
    machine.look()
    machine.write("app.log", *errors(1, 1))
    machine.look()
    machine.write("app.log", *errors(2, 9), mode="w")
    machine.look()
    assert machine.stored() == errors(1, 9)


def test_several_rotations_between_two_looks(machine):
    machine.write("app.log", *errors(1, 1))
    machine.look()
    machine.clock.at += 1
    for first in (2, 4, 6):
        machine.write("app.log", *errors(first, first + 1))
        for number in (2, 1):
            if os.path.exists(machine.path("app.log.%d" % number)):
                machine.rename("app.log.%d" % number, "app.log.%d" % (number + 1))
        machine.rename("app.log", "app.log.1")
    machine.write("app.log", *errors(8, 8))
    machine.look()
    assert machine.stored() == errors(2, 8)
    machine.look()
    assert machine.stored() == errors(2, 8)


def test_rotations_of_long_ago_are_left_alone(machine):
    machine.write("app.log.2", *errors(1, 1))
    machine.write("app.log", *errors(2, 2))
    machine.clock.at += 5
    machine.look()
    machine.rename("app.log.2", "app.log.3")
    machine.rename("app.log", "app.log.1")
    machine.write("app.log", *errors(3, 3))
    machine.look()
    assert machine.stored() == errors(3, 3)


def test_a_rotation_that_the_pattern_means_too_is_not_read_twice(tmp_path):
    machine = Machine("sqlite:///%s" % (tmp_path / "db"), tmp_path, from_start=True)
    machine.ctx.config.values["log_files"]["paths"] = [machine.path("app*")]
    machine.write("app.log", *errors(1, 2))
    machine.look()
    machine.rename("app.log", "app.log.1")
    machine.look()
    machine.write("app.log", *errors(3, 3))
    machine.look()
    machine.rename("app.log.1", "app-20261122.log")
    machine.rename("app.log", "app.log.1")
    machine.look()
    assert machine.stored() == errors(1, 3)


def test_a_file_that_is_renamed_to_another_followed_name_is_not_read_twice(machine):
    machine.look()
    machine.write("one.log", *errors(1, 2))
    machine.look()
    machine.rename("one.log", "two.log")
    machine.write("two.log", *errors(3, 3))
    machine.look()
    assert machine.stored() == errors(1, 3)


def test_a_copy_that_somebody_made_is_not_read(machine):
    machine.look()
    machine.write("app.log", *errors(1, 2))
    machine.look()
    machine.write("app.log", *errors(3, 3))
    with open(machine.path("app.log"), "rb") as log:
        machine.write_bytes("app.log.old", log.read())
    machine.look()
    machine.look()
    assert machine.stored() == errors(1, 3)


def test_an_editor_that_replaces_the_file_makes_no_new_lines(machine):
    machine.look()
    machine.write("app.log", *errors(1, 2))
    machine.look()
    with open(machine.path("app.log"), "rb") as log:
        machine.write_bytes("app.new", log.read())
    machine.rename("app.new", "app.log")
    machine.write("app.log", *errors(3, 3))
    machine.look()
    assert machine.stored() == errors(1, 3)


def test_deleted_and_made_again(machine):
    machine.look()
    machine.write("app.log", *errors(1, 2))
    machine.look()
    os.unlink(machine.path("app.log"))
    assert machine.look()["notes"] == []  # it may be on its way to another name
    notes = machine.look()["notes"]
    assert len(notes) == 1 and "was deleted, moved away or compressed" in notes[0]
    assert machine.look()["notes"] == []
    machine.write("app.log", *errors(3, 3))
    machine.look()
    assert machine.stored() == errors(1, 3)


def test_compressed_files_are_ignored(machine):
    machine.ctx.config.values["log_files"]["paths"] = [machine.path("app*")]
    machine.look()
    for ending in ("gz", "xz", "zst", "bz2"):
        machine.write("app.log.1.%s" % ending, "error")
    assert (machine.look()["files"], machine.stored()) == (0, [])
