"""Suggestions for merges: templates that read alike."""

from __future__ import annotations

from selfheal.errors.similar import MAX_SIMILAR, similar

TEMPLATE = "could not write block <num> of volume <id> to disk"


def test_nearly_equal_templates_come_first():
    near = "could not write block <num> of volume <id> to the disk"
    further = "could not read block <num> of any volume to disk"
    found = similar(TEMPLATE, [further, "user <name> logged in", near, TEMPLATE])
    assert [template for template, _ in found] == [near, further]
    assert found[0][1] > found[1][1]


def test_kinds_of_placeholders_do_not_matter():
    assert similar(TEMPLATE, [TEMPLATE.replace("<id>", "<hex>")]) == [
        (TEMPLATE.replace("<id>", "<hex>"), 1.0)]


def test_a_template_is_not_similar_to_itself_nor_to_other_words():
    assert similar(TEMPLATE, [TEMPLATE, "<num> <num> <num>", ""]) == []


def test_suggestions_are_few():
    many = ["%s w%s" % (TEMPLATE, letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
    assert len(similar(TEMPLATE, many)) == MAX_SIMILAR
