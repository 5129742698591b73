import pytest

from facemill.model.data.aliases import Names, read_aliases
from facemill.model.recipes.choices import MERGE, SEPARATE
from facemill.transforms.core.errors import ParameterError

DATASETS = ("s3://faces/casia/", "old/webface", "3")


def test_one_name_is_one_identity_or_one_in_each_dataset():
    aliases = {(0, "n0001"): "Ada", (2, "Bob"): "Robert"}
    merged, separate = Names(MERGE, aliases), Names(SEPARATE, aliases)
    asked = [(0, "n0001"), (1, "n0001"), (1, "Bob"), (2, "Bob")]
    assert [merged.name(*one) for one in asked] == ["Ada", "n0001", "Bob", "Robert"]
    assert [separate.name(*one) for one in asked] == ["Ada", "2/n0001", "2/Bob", "Robert"]


def test_a_table_names_datasets_by_path_or_position(tmp_path):
    path = tmp_path / "aliases.csv"
    path.write_text(
        "name,identity,dataset\n"
        "Ada,n0001,s3://faces/casia\n"
        "Ada , ada  l ,2\n"
        "Zoe\u0308,45.0,old/webface/\n"
        # The dataset of this path is the third, too.
        "Bob,b,3\n",
        encoding="utf-8",
    )
    assert read_aliases(str(path), DATASETS) == {
        (0, "n0001"): "Ada",
        (1, "ada l"): "Ada",
        (1, "45"): "Zoë",
        (2, "b"): "Bob",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dataset,identity\n1,a\n", "must have the columns dataset, identity, name, but .* lacks"),
        ("dataset,identity,name\n", "must hold a row for each alias, but .* holds none; correct"),
        ("dataset,identity,name\n4,a,b\n", "by path or position, but line 2 of .* names '4'"),
        ("dataset,identity,name\n1,,b\n", "must fill each row, but line 2 of .* has no identity"),
        ("dataset,identity,name\n1,nan,b\n", "must name somebody in each row, but line 2 of"),
        ("dataset,identity,name\n1,a,b\n1,a,c\n", "one name, but line 3 .*'c', and .*'b'; correct"),
        ("dataset,identity,name\n1,a\n", "must have rows that can be read, but line 2 of .* has 2"),
        ("", "must be a table, but .* cannot be read"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_a_sentence(tmp_path, text, said):
    path = tmp_path / "aliases.csv"
    path.write_text(text)
    with pytest.raises(ParameterError, match=r"^`aliases` .*" + said):
        read_aliases(str(path), DATASETS)


def test_an_absent_table_is_refused(tmp_path):
    with pytest.raises(ParameterError, match=r"^`aliases` must be a table, but .* cannot be read"):
        read_aliases(str(tmp_path / "none.csv"), DATASETS)
