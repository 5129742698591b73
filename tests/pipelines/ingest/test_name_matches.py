from facemill.pipelines.ingest.name_matches import Alike, match_names
from facemill.pipelines.ingest.selection import NameLists

PEOPLE = {"Ada_Lovelace", "Zoë", "45", "bob"}


def test_names_of_a_list_that_match_nobody_are_counted_with_the_first_few():
    lists = NameLists(exclude=frozenset({"bob", *(f"nobody {n}" for n in range(12))}))
    (line,) = match_names(PEOPLE, lists, None).words
    assert line == (
        "12 of 13 names of --exclude-identities match nobody (nobody 0, nobody 1, nobody 10, "
        "nobody 11, nobody 2, ...)"
    )


def test_an_unmatched_name_that_is_spelled_alike_is_shown_with_the_way_out():
    lists = NameLists(
        include=frozenset({"bob"}),
        splits=(("test", frozenset({"ada lovelace"})), ("val", frozenset({"ZOE", "eve"}))),
    )
    found = match_names(PEOPLE, lists, None)
    assert [one.unmatched for one in found.lists] == [0, 1, 2]
    one, other = found.words
    assert one == (
        "1 of 1 names of --split-list match nobody (ada lovelace); 1 of them differ from "
        "identities of the input only by case, accents or _ (ada lovelace and Ada_Lovelace): if "
        "they are the same people, ingest with --match-names folded"
    )
    assert "(ZOE and Zoë)" in other
    assert found.to_manifest()["lists"][2] == {
        "option": "split_lists",
        "names": 2,
        "unmatched": 2,
        "examples": ["ZOE", "eve"],
        "alike": {"count": 1, "examples": [["ZOE", "Zoë"]]},
    }


def test_names_alike_of_a_held_out_set_are_counted_and_equal_ones_are_not():
    found = match_names(PEOPLE, NameLists(), {"ada_lovelace", "bob", "eve"})
    assert found.held_out == Alike(1, (("Ada_Lovelace", "ada_lovelace"),))
    (line,) = found.words
    assert line.startswith("1 identities of the input differ from ones of the held-out set only by")
    # The held-out set may have both spellings, of which the input has one more.
    both = match_names({"bob", "Bob", "BOB"}, NameLists(), {"bob", "Bob"})
    assert both.held_out == Alike(1, (("BOB", "Bob"),))


def test_nothing_is_reported_where_all_names_match():
    found = match_names(PEOPLE, NameLists(include=frozenset(PEOPLE)), PEOPLE)
    assert not found.words
    assert match_names(PEOPLE, NameLists(), None).to_manifest() == {"lists": [], "held_out": None}
