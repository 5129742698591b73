"""Errors name parameters, and keep type, values and names when they are pickled."""

import pickle

import apache_beam as beam
import pytest

from facemill.transforms.core import processes
from facemill.transforms.core.errors import (
    FacemillError,
    MissingPackageError,
    NotSharedError,
    ParameterError,
    RunError,
    UsageError,
    naming,
)

INPUT = {"must": "hold images", "but": "/photos is empty", "do": "check the path or `format`"}
SHARED = (
    "`output` must be on storage that all workers see at the same path, but /out/x is not there on "
    "node7; mount it on every worker or give another path."
)
MADE = [
    ParameterError("input", "/photos", **INPUT),
    MissingPackageError("Reading s3://faces needs", "boto3", "apache-beam[aws]"),
    NotSharedError("/out/x", "node7"),
    UsageError("`input` must be given."),
    RunError("The loss must be finite; lower `learning_rate`."),
]


def test_a_parameter_error_has_its_sentence_and_its_values():
    error = ParameterError("input", "/photos", **INPUT)
    assert str(error) == (
        "`input` must hold images, but /photos is empty; check the path or `format`."
    )
    assert (error.parameter, error.value, error.must) == ("input", "/photos", "hold images")
    assert error.do == "check the path or `format`"
    assert error.exit_code == 2


def test_the_sentence_shows_the_value_unless_got_is_given():
    error = ParameterError("size", 7, must="be even", do="give another")
    assert str(error) == "`size` must be even, got 7; give another."
    error = ParameterError("size", 7, must="be even", got="7 of 8", do="give another")
    assert str(error) == "`size` must be even, got 7 of 8; give another."


def test_a_missing_package_error_names_the_package():
    error = MissingPackageError("Reading s3://faces needs", "boto3", "apache-beam[aws]")
    assert str(error) == (
        "Reading s3://faces needs boto3, which is not installed; install apache-beam[aws]."
    )
    assert (error.package, error.install, error.exit_code) == ("boto3", "apache-beam[aws]", 2)


def test_a_not_shared_error_names_the_machine_that_does_not_see_the_path():
    error = NotSharedError("/out/x", "node7")
    assert (str(error), error.path, error.machine) == (SHARED, "/out/x", "node7")
    assert error.exit_code == 1
    assert "launcher and all workers see" in str(NotSharedError("/out/x", None))


def test_naming_replaces_names_of_parameters():
    with pytest.raises(ParameterError) as raised, naming({"input": "exclude_dataset"}):
        raise ParameterError("input", "/photos", **INPUT)
    assert str(raised.value).startswith("`exclude_dataset` must hold images")
    assert str(raised.value).endswith("or `format`.")
    assert raised.value.parameter == "input"


def test_an_outer_naming_maps_the_names_that_the_inner_one_gave():
    flags = {"input": "--input", "exclude_dataset": "--exclude-dataset", "format": "--format"}
    inner = {"input": "exclude_dataset"}
    with pytest.raises(ParameterError) as raised, naming(flags), naming(inner):
        raise ParameterError("input", "/photos", **INPUT)
    assert str(raised.value) == (
        "--exclude-dataset must hold images, but /photos is empty; check the path or --format."
    )


def test_naming_can_replace_the_advice_of_a_parameter_error():
    with pytest.raises(ParameterError) as raised, naming({}, do="give a dataset"):
        raise ParameterError("input", "/photos", **INPUT)
    assert str(raised.value) == "`input` must hold images, but /photos is empty; give a dataset."
    assert raised.value.do == "give a dataset"
    with pytest.raises(RunError, match=r"^It broke\.$"), naming({}, do="give a dataset"):
        raise RunError("It broke.")


def test_naming_replaces_only_names_in_back_quotes():
    path = "/input/`input images`/--input/input"
    with pytest.raises(UsageError) as raised, naming({"input": "--given"}):
        raise UsageError(f"`input` must be input, got {path}; give `facemill`.")
    assert str(raised.value) == f"--given must be input, got {path}; give `facemill`."


def test_naming_leaves_other_errors_unchanged():
    with pytest.raises(ValueError, match=r"^`input`$"), naming({"input": "--input"}):
        raise ValueError("`input`")


def _raise(number: int) -> None:
    with naming({"output": "target"}):
        raise MADE[number]


@pytest.fixture(scope="module")
def from_another_process() -> list[BaseException | None]:
    with processes.executor(1) as pool:
        return [pool.submit(_raise, number).exception() for number in range(len(MADE))]


@pytest.mark.moderate
@pytest.mark.parametrize("number", range(len(MADE)))
def test_an_error_from_another_process_keeps_type_text_and_values(from_another_process, number):
    wanted, found = MADE[number], from_another_process[number]
    assert type(found) is type(wanted)
    assert str(found) == str(wanted).replace("`output`", "`target`")
    values = {name: value for name, value in vars(found).items() if name != "_names"}
    values.pop("__notes__", None)
    assert values == vars(wanted)
    with pytest.raises(FacemillError) as raised, naming({"target": "--target"}):
        raise found
    assert ("--target" in str(raised.value)) == isinstance(wanted, NotSharedError)


def test_pickling_keeps_replaced_advice():
    error = ParameterError("input", "/photos", **INPUT)
    error.advise("give a dataset")
    error = pickle.loads(pickle.dumps(error))
    assert str(error) == "`input` must hold images, but /photos is empty; give a dataset."
    error.advise("go")
    assert str(error).endswith("; go.")


@pytest.mark.moderate
@pytest.mark.parametrize("error", MADE)
def test_an_error_from_a_step_of_beam_keeps_type_text_and_values(error):
    def fail(element: int) -> None:
        raise error

    with pytest.raises(type(error)) as raised, beam.Pipeline() as pipeline:
        _ = pipeline | beam.Create([1]) | beam.Map(fail)
    assert str(raised.value) == str(error)
    assert vars(raised.value).items() >= vars(error).items()


@pytest.mark.parametrize("kind", [ParameterError, MissingPackageError, NotSharedError])
def test_error_types_with_values_cannot_be_made_of_a_text_alone(kind):
    """Otherwise a runner that makes new errors from texts would nest one sentence in another."""
    with pytest.raises(TypeError):
        kind(SHARED)
