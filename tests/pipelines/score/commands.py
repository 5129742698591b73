"""The command score in this process, for tests."""

from facemill.pipelines import cli


def score(photos, model, output, *flags) -> int:
    given = ["score", "--input", photos, "--model", model, "--output", output, *flags]
    return cli.main([str(word) for word in given])


def sentence(capfd) -> str:
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("facemill:")]
    assert len(errors) == 1, errors
    return errors[0]
