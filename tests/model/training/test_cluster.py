import json

import pytest

from facemill.model.training.cluster import Cluster, from_tf_config
from facemill.transforms.core.errors import ParameterError, UsageError

HOSTS = ("one:2222", "two:2222", "[::1]:2223")


def tf_config(cluster: dict, kind: str = "worker", index: int = 0) -> str:
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


def test_the_first_worker_leads():
    first, last = Cluster(HOSTS, 0), Cluster(HOSTS, 2)
    assert (first.is_chief, last.is_chief) == (True, False)
    assert first.count == 3
    assert last.name(1) == "worker 1 (two:2222)"
    assert [last.address(index) for index in range(3)] == [
        *(("one", 2222), ("two", 2222)),
        ("::1", 2223),
    ]


@pytest.mark.parametrize(
    ("hosts", "index", "said"),
    [
        (("one:2222", "two"), 0, r"`worker_hosts` must be a list such as .*, got 'two'; give each"),
        (("one:2222", "two:x"), 0, "got 'two:x'"),
        (("one:2222", "two:70000"), 0, "got 'two:70000'"),
        (("one:2222", ":2222"), 0, "got ':2222'"),
        (("one:2222", "one:2222"), 0, "`worker_hosts` must name each worker once, got one:2222,"),
        (HOSTS, 3, r"`worker_index` must be 0 to 2, as there are 3 workers, got 3; give this"),
    ],
)
def test_what_is_no_cluster_is_refused(hosts, index, said):
    with pytest.raises(ParameterError, match=said):
        Cluster(hosts, index)


def test_tf_config_names_the_same_cluster():
    workers = {"worker": ["one:1", "two:2"]}
    assert from_tf_config(tf_config(workers, index=1)) == Cluster(("one:1", "two:2"), 1)
    with_chief = {"worker": ["two:2", "three:3"], "chief": ["one:1"]}
    hosts = ("one:1", "two:2", "three:3")
    assert from_tf_config(tf_config(with_chief, "chief")) == Cluster(hosts, 0)
    assert from_tf_config(tf_config(with_chief, index=1)) == Cluster(hosts, 2)


@pytest.mark.parametrize("text", ["{}", tf_config({"worker": ["one:1"]}), '{"cluster": {}}'])
def test_one_worker_is_no_cluster(text):
    assert from_tf_config(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"TF_CONFIG must be JSON with a cluster .* but '\{' is not"),
        ("[1]", "TF_CONFIG must be JSON with a cluster"),
        (json.dumps({"cluster": {"worker": ["a:1", "b:2"]}}), "TF_CONFIG must be JSON"),
        (tf_config({"worker": ["a:1"], "ps": ["b:2"]}), "tasks of chief and worker alone, got ps"),
        (tf_config({"worker": ["a:1", "b:2"]}, "evaluator"), "alone, got evaluator;"),
        (tf_config({"worker": ["a:1", "b:2"]}, index=2), "one of its cluster, got worker 2 of 2"),
        (tf_config({"worker": ["a:1", "a:1"]}), "must name each worker once"),
    ],
)
def test_a_wrong_tf_config_is_reported_in_a_sentence(text, said):
    with pytest.raises(UsageError, match=said):
        from_tf_config(text)
