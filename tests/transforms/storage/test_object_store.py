"""Object stores, against moto's S3 server on this machine and through the real client."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs

import boto3
import pytest
from apache_beam.internal.gcp import auth
from botocore.exceptions import ClientError
from botocore.paginate import Paginator

from facemill.transforms import storage
from facemill.transforms.core.errors import RunError, UsageError
from facemill.transforms.dataset import artifact
from facemill.transforms.sources.base import Ref, Unreadable
from facemill.transforms.sources.dataset import DatasetRecords, verify_dataset
from facemill.transforms.sources.folders import NO_FOLDER, Folders
from facemill.transforms.sources.recordio import RecordIO
from facemill.transforms.sources.registry import guess
from facemill.transforms.storage import Entry, object_store
from tests.stores import s3, upload

BUCKET = "photos"
OBJECTS = {
    "faces/Ada/1.jpg": b"ada",
    "faces/Ada/old/2.jpg.gz": b"as it is",
    "faces/Ada/": b"",
    "faces/Ada-L/1.jpg": b"l",
    "faces/Zoë [1]*?/a.jpg": b"zoe",
    "faces/loose.jpg": b"loose",
    "faces-other/Eve/1.jpg": b"eve",
    "rec/train.rec": b"no magic here",
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with s3(BUCKET) as client:
        for key, data in OBJECTS.items():
            client.put_object(Bucket=BUCKET, Key=key, Body=data)
        yield f"s3://{BUCKET}"


def test_a_source_of_folders_lists_and_reads(url):
    source = Folders(f"{url}/faces")
    refs = [ref for task in source.tasks() for ref in source.refs(task)]
    assert refs == [
        Ref("Ada-L/1.jpg", "Ada-L", "Ada-L/1.jpg"),
        Ref("Ada/1.jpg", "Ada", "Ada/1.jpg"),
        Ref("Ada/old/2.jpg.gz", "Ada", "Ada/old/2.jpg.gz"),
        Ref("Zoë [1]*?/a.jpg", "Zoë [1]*?", "Zoë [1]*?/a.jpg"),
        Ref("loose.jpg", None, "loose.jpg", reason=NO_FOLDER),
    ]
    assert list(source.read(refs[:4])) == [b"l", b"ada", b"as it is", b"zoe"]
    gone = Ref("Ada/9.jpg", "Ada", "Ada/9.jpg")
    assert list(source.read([gone, refs[1]])) == [
        Unreadable("cannot be read: no such object"),
        b"ada",
    ]


def test_a_folder_and_a_bucket_are_listed(url):
    assert storage.top_level(f"{url}/faces/") == ["Ada-L/", "Ada/", "Zoë [1]*?/", "loose.jpg"]
    listed = list(storage.list_files(f"{url}/faces", "Ada/"))
    assert listed == [Entry("Ada/1.jpg"), Entry("Ada/old/2.jpg.gz")]
    everything = [entry.name for entry in storage.list_files(url)]
    assert everything == sorted(key for key in OBJECTS if not key.endswith("/"))


def test_the_top_level_is_listed_without_the_names_below(url, monkeypatch):
    monkeypatch.setattr(object_store, "_names", None)
    assert storage.top_level(f"{url}/faces") == ["Ada-L/", "Ada/", "Zoë [1]*?/", "loose.jpg"]
    assert storage.top_level(url) == ["faces-other/", "faces/", "rec/"]
    for absent in (f"{url}/none", "s3://no-such-bucket", "s3://no-such-bucket/faces"):
        with pytest.raises(FileNotFoundError):
            storage.top_level(absent)


def test_a_refused_listing_is_reported(url, monkeypatch):
    def refused(self, **_):
        raise ClientError({"ResponseMetadata": {"HTTPStatusCode": 403}}, "ListObjectsV2")

    monkeypatch.setattr(Paginator, "paginate", refused)
    with pytest.raises(UsageError, match=r"must be a readable directory.*refuses access"):
        Folders(f"{url}/faces").tasks()


class _Google(BaseHTTPRequestHandler):
    """Google's answer to a listing by levels, in two pages."""

    asked: ClassVar[list[str | None]] = []

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path != "/storage/v1/b/bucket/o":
            # The client may request more about the bucket.
            self.send_error(404)
            return
        values = {name: value for name, (value,) in parse_qs(query).items()}
        self.asked.append(values.get("pageToken"))
        assert (values["prefix"], values["delimiter"]) == ("faces/", "/")
        if "pageToken" in values:
            page = {"items": [{"name": "faces/loose.jpg"}], "prefixes": ["faces/Zoë/"]}
        else:
            page = {"items": [{"name": "faces/"}], "prefixes": ["faces/Ada/"], "nextPageToken": "2"}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(page).encode())

    def log_message(self, *_):
        pass


def test_the_top_level_of_google_storage_is_read_from_all_pages(url, monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), _Google) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
        # Anonymous: the search for credentials takes half a minute.
        monkeypatch.setattr(auth, "get_service_credentials", lambda options: None)
        found = storage.top_level("gs://bucket/faces")
        server.shutdown()
    assert found == ["Ada/", "Zoë/", "loose.jpg"]
    assert _Google.asked == [None, "2"]


def test_a_stream_is_read_at_any_offset(url):
    with storage.open_file(f"{url}/faces/Ada/old/2.jpg.gz") as stream:
        assert stream.seek(0, os.SEEK_END) == 8
        assert storage.read_range(stream, 3, 2) == b"it"
        assert storage.read_range(stream, 0, 5) == b"as it"
        with pytest.raises(RunError, match="must hold 5 bytes at 6, got 2"):
            storage.read_range(stream, 6, 5)


def test_two_streams_of_one_thread_do_not_disturb_each_other(url):
    with (
        storage.open_file(f"{url}/faces/Ada/1.jpg") as first,
        storage.open_file(f"{url}/faces/loose.jpg") as second,
    ):
        assert (first.read(1), second.read(2), first.read(), second.read()) == (
            b"a",
            b"lo",
            b"da",
            b"ose",
        )


def test_names_are_not_patterns(url):
    assert storage.is_file(f"{url}/faces/Zoë [1]*?/a.jpg")
    assert not storage.is_file(f"{url}/faces/*.jpg")
    assert not storage.is_file(f"{url}/faces/Ada")


def test_a_bucket_can_be_an_input(url):
    assert not storage.is_file(url)
    assert not storage.is_file(f"{url}/")
    assert guess(url) == "folders"
    assert storage.top_level(f"{url}/") == storage.top_level(url) != []


def test_a_recordio_source_and_the_guess_of_the_format_read_from_a_store(url):
    assert guess(f"{url}/faces") == "folders"
    assert guess(f"{url}/rec") == "casia-rec"
    source = RecordIO(f"{url}/rec")
    assert source.tasks() == ["all"]
    (ref,) = source.refs("all")
    assert "wrong magic number" in ref.reason


def test_a_dataset_is_read_and_verified_in_a_store(url, tiny_dataset):
    client = boto3.client("s3")
    client.create_bucket(Bucket="sets")
    upload(client, tiny_dataset, "sets", "dataset")
    root = "s3://sets/dataset"
    assert not artifact.is_unfinished(root)
    manifest = artifact.read_manifest(root, "dataset")
    assert manifest == artifact.read_manifest(str(tiny_dataset), "dataset")
    verify_dataset(root, manifest)
    here, there = (DatasetRecords(one, manifest) for one in (str(tiny_dataset), root))
    refs = [ref for task in there.tasks() for ref in there.refs(task)]
    assert refs == [ref for task in here.tasks() for ref in here.refs(task)]
    assert len(refs) == manifest["counts"]["kept"]
    assert list(there.read(refs[:9])) == list(here.read(refs[:9]))
    client.put_object(Bucket="sets", Key=f"dataset/{refs[0].path}", Body=b"damage" * 9)
    with pytest.raises(RunError, match=f"{root}/{refs[0].path} must be a whole TFRecord file"):
        list(there.read(refs[:1]))
    client.delete_object(Bucket="sets", Key=f"dataset/{refs[0].path}")
    with pytest.raises(RunError, match=f"^{refs[0].path} must be readable, .*no such object"):
        list(there.read(refs[:1]))
    client.put_object(Bucket="sets", Key=f"dataset/{there.tasks()[0]}", Body=b"PAR1")
    with pytest.raises(RunError, match=f"{root}/index/.* must have the SHA-256 of its manifest"):
        list(there.refs(there.tasks()[0]))
    client.put_object(Bucket="sets", Key="half/.incomplete", Body=b"{}")
    assert artifact.is_unfinished("s3://sets/half")


def test_a_missing_input_and_an_unknown_scheme_are_reported_in_a_sentence(url):
    with pytest.raises(UsageError, match=r"`input` must be .*none does not exist"):
        Folders(f"{url}/none").tasks()
    with pytest.raises(UsageError, match="scheme of a store that Beam can reach, got nowhere://x"):
        storage.read_bytes("nowhere://x/y")


def test_a_store_that_does_not_answer_ends_the_run(url, monkeypatch):
    def silent(path):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(object_store, "_open", silent)
    with pytest.raises(RunError, match=r"must answer for s3://photos/x, got no route to host"):
        storage.read_bytes(f"{url}/x")


def test_the_error_for_a_missing_client_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(UsageError, match=r"install apache-beam\[aws\]"):
        storage.read_bytes("s3://photos/x")


def test_storage_does_not_import_beam():
    code = (
        "import sys; from facemill.transforms import storage; "
        "assert 'apache_beam' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
