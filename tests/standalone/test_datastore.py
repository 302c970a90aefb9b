"""The file datastore: text only, ttl by the clock, tokens for secrets, many writers."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standalone.datastore import Datastore, KeyLookup
from standalone.templates import render

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path):
    return Datastore(tmp_path / "deep" / "kv.json")


def test_what_goes_in_comes_out_as_text(store):
    store.set("a", {"b": 1})
    store.set("n", None)
    assert store.get("a") == "{'b': 1}"
    assert store.get("n") == "None"
    assert store.get("missing") is None


@given(st.dictionaries(st.text(), st.text(), max_size=5))
def test_any_text_survives(tmp_path_factory, pairs):
    store = Datastore(tmp_path_factory.mktemp("kv") / "kv.json")
    for name, value in pairs.items():
        store.set(name, value)
    assert {entry.name: entry.value for entry in store.list()} == pairs


def test_delete_says_whether_there_was_something(store):
    store.set("a", 1)
    assert store.delete("a")
    assert not store.delete("a")
    assert store.get("a") is None


def test_list_takes_a_prefix_and_sorts(store):
    for name in ("b.2", "a.1", "b.1"):
        store.set(name, name)
    assert [entry.name for entry in store.list("b.")] == ["b.1", "b.2"]


def test_a_ttl_ends_by_the_clock(tmp_path):
    now = [1000.0]
    store = Datastore(tmp_path / "kv.json", clock=lambda: now[0])
    store.set("short", "x", ttl=10)
    store.set("for_ever", "y", ttl=0)
    assert store.entry("short").expires_at == 1010.0
    now[0] = 1010.0
    assert store.get("short") is None
    assert [entry.name for entry in store.list()] == ["for_ever"]
    assert not store.delete("short")


def test_a_secret_is_a_token_until_decrypted(store):
    store.set("s", "geheim", encrypt=True)
    token = store.get("s")
    assert "geheim" not in token
    assert store.entry("s").encrypted
    assert store.get("s", decrypt=True) == "geheim"
    assert store.decrypt(token) == "geheim"
    assert "geheim" not in str(store.list())
    assert os.stat(str(store.path)).st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["plain", "", "geheim"])
def test_only_a_token_can_be_decrypted(store, text):
    store.set("s", "geheim", encrypt=True)
    with pytest.raises(ValueError, match="not encrypted"):
        store.decrypt(text)


def test_writers_take_turns(store):
    def write(part):
        for number in range(15):
            store.set("%d.%d" % (part, number), number)

    threads = [threading.Thread(target=write, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.list()) == 60


def test_two_processes_lose_nothing_of_each_other(store):
    code = (
        "import sys; from pathlib import Path; from standalone.datastore import Datastore\n"
        "for n in range(25): Datastore(Path(sys.argv[1])).set('%s.%d' % (sys.argv[2], n), n)"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(store.path), name], cwd=str(ROOT))
        for name in "ab"
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(store.list()) == 50


def test_a_file_that_is_no_json_is_named(store):
    store.path.parent.mkdir(parents=True)
    store.path.write_text("{nonsense")
    with pytest.raises(ValueError, match=r"kv\.json is not JSON"):
        store.get("a")


def test_names_with_dots_are_reached_step_by_step(store):
    store.set("selfheal.circuit.web", "open")
    lookup = KeyLookup(store)
    assert str(lookup.selfheal.circuit.web) == "open"
    assert str(lookup["selfheal"]["circuit"]["web"]) == "open"
    assert str(lookup.selfheal.circuit) == ""
    store.set("n", "2.7")
    assert int(lookup.n) == 2


def test_templates_see_keys_and_an_empty_text_for_missing_ones(store):
    store.set("a.b", "x")
    context = {"st2kv": {"system": KeyLookup(store)}}
    assert render("{{ st2kv.system.a.b }}|{{ st2kv.system.nope }}", context) == "x|"


def test_decrypt_kv_in_a_template(store):
    store.set("s", "geheim", encrypt=True)
    context = {"st2kv": {"system": KeyLookup(store)}}
    assert render("{{ st2kv.system.s | decrypt_kv }}", context) == "geheim"
    assert "geheim" not in render("{{ st2kv.system.s }}", context)
    with pytest.raises(ValueError, match=r'"st2kv\.system\.nope" doesn\'t exist'):
        render("{{ st2kv.system.nope | decrypt_kv }}", context)
