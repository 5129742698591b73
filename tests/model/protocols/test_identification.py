import pytest
from hypothesis import given
from hypothesis import strategies as st

from facemill.model.protocols.identification import Entry, draw_closed, draw_open, parse_roles
from facemill.transforms.core.errors import UsageError

LIST = "image_id,role\nAda/1.jpg,gallery\nAda/2.jpg,probe\nBob/1.jpg,probe\n"
SETS = st.lists(st.integers(1, 4), min_size=3, max_size=8).filter(
    lambda counts: sum(count > 1 for count in counts) > 1
)


def images(counts):
    ids = [f"p{who}/{n}.jpg" for who, count in enumerate(counts) for n in range(count)]
    return ids, [one.split("/")[0] for one in ids]


def test_a_list_names_roles_and_folders_identities_in_any_order():
    roles = parse_roles(LIST, "l.csv")
    assert roles.gallery == (Entry("Ada/1.jpg", "Ada"),)
    assert roles.probes == (Entry("Ada/2.jpg", "Ada"), Entry("Bob/1.jpg", "Bob"))
    assert roles.images == ["Ada/1.jpg", "Ada/2.jpg", "Bob/1.jpg"]
    header, *rows = LIST.splitlines()
    assert parse_roles("\r\n".join([header, "", *reversed(rows)]), "l.csv") == roles


def test_a_column_names_identities_and_a_probe_may_be_nobody():
    text = "role;identity;image_id\ngallery;Ada;x.jpg\nProbe;;y.jpg\n"
    roles = parse_roles(text, "l.csv")
    assert roles.gallery == (Entry("x.jpg", "Ada"),)
    assert roles.probes == (Entry("y.jpg", None),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "l.csv must begin with the names of its columns"),
        ("Ada/1.jpg,gallery\n", "must begin with the names of its columns"),
        (LIST + "Ada/3.jpg,query\n", "line 5 must have an image_id, and gallery or probe"),
        (LIST + "Ada/1.jpg,probe\n", "line 5 must not repeat the image Ada/1.jpg of line 2"),
        ("image_id,role\nx.jpg,gallery\n", "line 2 must say whose image x.jpg of the gallery is"),
        ("image_id,role\na/x.jpg,gallery\n", "got none of the role probe"),
        ("image_id,role\n", "got none of the role gallery"),
    ],
)
def test_a_wrong_list_is_refused_in_a_sentence(text, said):
    with pytest.raises(UsageError, match=said):
        parse_roles(text, "l.csv")


@pytest.mark.moderate
@given(SETS, st.integers(0, 99), st.randoms(use_true_random=False))
def test_draws_follow_from_images_and_seed_alone(counts, seed, draw):
    ids, names = images(counts)
    rows = list(zip(ids, names, strict=True))
    draw.shuffle(rows)
    for take in (draw_closed, draw_open):
        roles = take(ids, names, seed)
        assert take(*zip(*rows, strict=True), seed) == roles
        renamed = take(ids, [f"{name[::-1]}!" for name in names], seed)
        for some, others in ((roles.gallery, renamed.gallery), (roles.probes, renamed.probes)):
            assert [one.image for one in some] == [one.image for one in others]
        gallery = {one.image for one in roles.gallery}
        assert not gallery & {one.image for one in roles.probes}
        assert len(gallery) == len(roles.identities)


@given(SETS, st.integers(0, 99))
def test_closed_has_every_probe_s_identity_and_open_lacks_some(counts, seed):
    ids, names = images(counts)
    closed = draw_closed(ids, names, seed)
    assert {one.identity for one in closed.probes} == closed.identities
    drawn = draw_open(ids, names, seed)
    assert len(drawn.gallery) + len(drawn.probes) == len(ids)
    assert {one.identity for one in drawn.probes} > drawn.identities


def test_sets_that_leave_nothing_to_draw_are_refused():
    ids, names = images([2, 1, 1])
    with pytest.raises(UsageError, match="two identities or more with two images or more each"):
        draw_closed(ids, names, 0)
    for counts in ([2], [1, 1]):
        with pytest.raises(UsageError, match="an identity with two images or more and images of"):
            draw_open(*images(counts), 0)
    assert draw_open(*images([2, 1]), 0).gallery[0].identity == "p0"
