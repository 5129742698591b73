import pyarrow as pa

from facemill.transforms.dataset.fingerprint import content_sum


def _rows(*entries: tuple[str, str | None]) -> pa.Table:
    names, digests = zip(*entries, strict=True)
    return pa.table({"image_id": names, "sha256": pa.array(digests, pa.string())})


ENTRIES = (("Ada/1.jpg", "00" * 32), ("Zoë/2.png", "ab" * 32), ("broken", None))


def test_content_sum_golden_value():
    # The manifests of earlier datasets hold such sums; `--append-to` compares with them.
    expected = 0x802338BAC8799CB8B92193882DC3848CFB966145251B3BD2BA72397CC679D36F
    assert content_sum(_rows(*ENTRIES)) == expected


def test_content_sum_of_no_rows_is_zero():
    assert content_sum(_rows(*ENTRIES).slice(0, 0)) == 0


def test_content_sum_does_not_depend_on_the_order():
    assert content_sum(_rows(*ENTRIES[::-1])) == content_sum(_rows(*ENTRIES))


def test_content_sums_of_parts_add_up():
    parts = content_sum(_rows(*ENTRIES[:2])) + content_sum(_rows(*ENTRIES[2:]))
    assert parts % 2**256 == content_sum(_rows(*ENTRIES))


def test_content_sum_changes_with_a_name_a_file_and_a_repetition():
    (name, digest), *rest = ENTRIES
    changed = [
        (("Ada/3.jpg", digest), *rest),
        ((name, "01" * 32), *rest),
        (*ENTRIES, ENTRIES[0]),
        # Two names whose files are exchanged.
        ((name, "ab" * 32), ("Zoë/2.png", digest), *rest[1:]),
    ]
    sums = {content_sum(_rows(*entries)) for entries in (ENTRIES, *changed)}
    assert len(sums) == 1 + len(changed)
