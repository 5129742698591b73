"""The Flex Templates of Dataflow: their image, their metadata, and what their launcher starts."""

import importlib.util
import json
import logging
import re
from pathlib import Path

import pytest

from facemill.pipelines import cli, flex_launcher, flex_parameters
from facemill.transforms.core.errors import RunError, UsageError

DEPLOY = Path(__file__).parents[2] / "deploy"
FOLDER = DEPLOY / "dataflow"
INGEST = ("--input=gs://b/photos", "--output=gs://b/out")
# As the launcher of a Flex Template passes them.
OF_BEAM = (
    *("--runner=DataflowRunner", "--project=p", "--region=europe-west4", "--job_name=night"),
    *("--temp_location=gs://b/temp", "--staging_location=gs://b/staging", "--no_auth"),
    "--template_location=gs://b/staging/template_launches/1/job_object",
)


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("metadata_generator", FOLDER / "metadata.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_are_what_the_flags_give(generator):
    assert generator.stale() == [], "run `make templates`"


def test_a_missing_and_an_old_file_are_found(generator, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generator, "FOLDER", tmp_path / "metadata")
    assert generator.main([]) == 0
    assert generator.main(["--check"]) == 0
    generator.path("score").unlink()
    (tmp_path / "metadata" / "gone.json").write_text("{}")
    generator.path("match").write_text("{}")
    assert generator.main(["--check"]) == 1
    said = capsys.readouterr().out
    assert all(f"{name}.json" in said for name in ("score", "gone", "match"))


def parameters(command: str) -> dict[str, dict]:
    given = json.loads((FOLDER / "metadata" / f"{command}.json").read_text("utf-8"))
    return {one["name"]: one for one in given["parameters"]}


@pytest.mark.parametrize("command", flex_parameters.COMMANDS)
def test_every_flag_is_a_parameter_that_is_described_and_checked(command):
    flags = {
        action.option_strings[0].removeprefix("--").replace("-", "_")
        for action in flex_parameters.parser_of(command)._actions
    }
    found = parameters(command)
    assert set(found) == flags | {"sdk_container_image"}
    for one in found.values():
        assert re.fullmatch("[a-z][a-z0-9_]*", one["name"])
        assert one["label"]
        assert one["helpText"].endswith(".")
        (form,) = one["regexes"]
        assert re.fullmatch(r"\^\(.*\)\$", form)
        assert not re.search(r"\\|\(\?", form), "POSIX knows no such thing"
        assert re.search(form, "") is None
    module = importlib.import_module(cli.module_of(command, "options"))
    assert module.TAKES_BEAM_OPTIONS


@pytest.mark.parametrize("command", flex_parameters.COMMANDS)
def test_google_reads_the_metadata(command):
    dataflow = pytest.importorskip("google.cloud.dataflow_v1beta3")
    text = (FOLDER / "metadata" / f"{command}.json").read_text("utf-8")
    read = dataflow.TemplateMetadata.from_json(text, ignore_unknown_fields=True)
    assert {one.name for one in read.parameters} == set(parameters(command))
    assert all(one.param_type == dataflow.ParameterType.TEXT for one in read.parameters)


@pytest.mark.parametrize(
    ("command", "name", "good", "bad"),
    [
        ("ingest", "input", ["gs://b/photos", "s3://b/a b"], ["/photos", "photos", "gs://"]),
        ("ingest", "identities", ["true", "false"], ["True", "yes"]),
        ("ingest", "image_size", ["112"], ["1e2", "a"]),
        ("ingest", "crop_fraction", ["0.5", "1", ".5", "5e-1"], ["half", "0,5"]),
        ("ingest", "dedup", ["off", "thorough"], ["all", "offthorough"]),
        ("ingest", "brightness", ["0,255", "20.5,240"], ["20"]),
        ("ingest", "split", ["train=0.8,val=0.1,test=0.1", "train=1"], ["dev=1", "train"]),
        ("ingest", "balance", ["cap=50", "min-images=2;cap=50@age"], [";"]),
        ("ingest", "split_list", ["test=gs://b/a;val=gs://b/c"], ["test=a.txt"]),
        ("score", "since", ["gs://b/1", "gs://b/1;gs://b/2"], ["gs://b/1;", "1"]),
        ("score", "partition", ["2026-11-25"], ["a/b", "-a"]),
        ("match", "memory", ["1GB", "500000000", "1.5GiB"], ["much"]),
        ("score", "sdk_container_image", ["eu.gcr.io/p/facemill:0.1.0"], ["a b"]),
    ],
)
def test_forms(command, name, good, bad):
    (form,) = parameters(command)[name]["regexes"]
    assert all(re.search(form, text) for text in good)
    assert not any(re.search(form, text) for text in bad)


def test_words():
    given = [
        *("--image_size=64", "--identities=false", "--balance=min-images=2;cap=50"),
        *("--copy-difference=-1", "--runner=DataflowRunner", "--no_auth"),
    ]
    assert flex_parameters.words_of("ingest", given) == [
        *("--image-size=64", "--no-identities", "--balance=min-images=2", "--balance=cap=50"),
        *("--copy-difference=-1", "--runner=DataflowRunner", "--no_auth"),
    ]


@pytest.mark.parametrize(
    ("command", "given", "sentence"),
    [
        ("train", (), "FACEMILL_COMMAND must be ingest, score, detect, match or cluster"),
        ("ingest", ("--output=gs://b/out",), "required: --input"),
        ("ingest", (*INGEST, "--identities=yes"), "--identities must be true or false"),
        ("ingest", (*INGEST, "--image_size"), "--image_size must have a value"),
        ("ingest", (*INGEST, "--image_size=1"), "--image-size must be"),
        ("ingest", ("--input=/photos", "--output=gs://b/out"), "--input must be on an object"),
        ("ingest", (*INGEST, "--runner=FnApiRunner"), "--runner must be DataflowRunner"),
        ("ingest", (*INGEST, "--temp_location=/temp"), "--temp_location must be"),
        ("ingest", (*INGEST, "--sdk_container_image="), "--sdk_container_image must"),
    ],
)
def test_what_is_wrong_is_refused_at_once(command, given, sentence, monkeypatch, capsys):
    monkeypatch.setenv(flex_launcher.COMMAND, command)
    monkeypatch.setenv(flex_launcher.IMAGE, "registry/facemill:test")
    assert flex_launcher.main([*OF_BEAM, *given]) == UsageError.exit_code
    assert sentence in capsys.readouterr().err


def test_a_command_that_fails_fails_the_step(caplog):
    caplog.set_level(logging.INFO)
    step = flex_launcher.RunCommand(["--no-such-option"])
    with pytest.raises(RunError, match=r"exit code 2: facemill: .*required"):
        list(step.process("compact"))
    assert "required" in caplog.text


def test_the_image():
    text = (FOLDER / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    launcher = "/opt/google/dataflow/python_template_launcher"
    assert ["COPY", "--from=launcher", launcher, launcher] in lines
    assert lines[-1] == ["ENTRYPOINT", f'["{launcher}"]']
    (environment,) = (dict(word.split("=", 1) for word in ws[1:]) for ws in lines if ws[0] == "ENV")
    entry = environment["FLEX_TEMPLATE_PYTHON_PY_FILE"]
    assert (DEPLOY / Path(entry).relative_to("/opt/facemill/deploy")).is_file()
    assert environment[flex_launcher.COMMAND] == "${COMMAND}"
    assert environment[flex_launcher.IMAGE] == "${IMAGE}"
    python = re.search("ARG PYTHON=(.*)", (DEPLOY / "Dockerfile").read_text())[1]
    assert f"python{python.replace('.', '')}-template-launcher-base" in text
