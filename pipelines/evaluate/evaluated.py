"""What a protocol gets, and what it gives back."""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from facemill.pipelines.evaluate import cautions
from facemill.pipelines.evaluate.options import EvaluateOptions
from facemill.transforms import storage
from facemill.transforms.core.errors import UsageError
from facemill.transforms.dataset import artifact
from facemill.transforms.dataset.writing import Work

if TYPE_CHECKING:
    from facemill.pipelines.common.runner import Runner

_NAMED = 3


@dataclasses.dataclass(frozen=True)
class Given:
    """The embeddings and the options.

    Attributes:
        path: absolute path or URL of the embeddings.
        manifest: of them.
        options: of the command.
        inputs: parameter to path of what was read; a protocol adds its own.
        runner: that does the work of the protocol; None for this process.
        work: the run, where the output is opened before the figures are made; else None.
    """

    path: str
    manifest: Mapping[str, Any]
    options: EvaluateOptions
    inputs: dict[str, str]
    runner: "Runner | None" = None
    work: Work | None = None

    @property
    def fingerprint(self) -> str:
        """Of the embeddings."""
        return artifact.fingerprint(self.manifest)

    def trained(self, identities: Iterable[str]) -> dict[str, Any]:
        """Whether the model was trained on these people, by the model that scoring used."""
        found = artifact.read_run(self.path).get("inputs")
        asked = self.options.model
        model = asked or (found.get("model") if isinstance(found, dict) else None)
        return cautions.about_training(
            identities, model, self.manifest["model_id"], asked is not None
        )

    def read_bytes(self, parameter: str, flag: str, path: str) -> tuple[bytes, str]:
        """The bytes of an input file, whose path is added to the inputs, and their hex SHA-256.

        Args:
            parameter: the option's name.
            flag: the option's flag.
            path: as it was given.

        Raises:
            UsageError: the file cannot be read.
        """
        self.inputs[parameter] = storage.absolute(path, parameter)
        try:
            data = storage.read_bytes(self.inputs[parameter])
        except OSError as error:
            raise UsageError(
                f"{flag} must be a readable file, got {self.inputs[parameter]} "
                f"({error.strerror}); check the path."
            ) from None
        return data, hashlib.sha256(data).hexdigest()

    def read_text(self, parameter: str, flag: str, path: str) -> tuple[str, str]:
        """The same as text.

        Raises:
            UsageError: the file cannot be read, or is no text.
        """
        data, digest = self.read_bytes(parameter, flag, path)
        try:
            # Spreadsheets write "Unicode text" as UTF-16.
            wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
            return data.decode("utf-16" if wide else "utf-8").removeprefix("\ufeff"), digest
        except UnicodeDecodeError:
            raise UsageError(
                f"{flag} must be a UTF-8 text file, got {self.inputs[parameter]}; give a list "
                "as text."
            ) from None


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """Figures, ready to be written.

    Attributes:
        settings: the options that change them.
        results: what `results.json` holds; `model_id`, `trained_on` and `warnings` among it.
        page: the report.
        counts: of the manifest.
        metrics: of the manifest.
        rows: (name, value) of the table that the command ends with, without what all share.
        tables: file name to table.
        run_info: what `run.json` says of a runner; empty for one process.
    """

    settings: dict[str, Any]
    results: dict[str, Any]
    page: str
    counts: dict[str, int]
    metrics: dict[str, Any]
    rows: Sequence[tuple[str, str]]
    tables: Mapping[str, pa.Table] = dataclasses.field(default_factory=dict)
    run_info: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def summary(self) -> str:
        """The short table that the command ends with."""
        rows = [*self.rows, ("trained on", cautions.trained_text(self.results["trained_on"]))]
        width = max(18, *(len(name) + 2 for name, _ in rows))
        lines = [f"  {name:<{width}}{value}" for name, value in rows]
        lines += [f"  warning: {text}" for text in self.results["warnings"]]
        return "\n".join(lines)


def refuse_missing(
    wanted: Sequence[str],
    found: Mapping[str, Any],
    path: str,
    what: str = "pairs",
    have: str = "have an embedding",
) -> None:
    """Refuses images without an embedding.

    Args:
        wanted: names of images.
        found: those that have one.
        path: of the embeddings.
        what: names the images.
        have: what they must have there, as it follows "must".

    Raises:
        UsageError: some have none.
    """
    missing = [name for name in wanted if name not in found]
    if missing:
        more = ", ..." if len(missing) > _NAMED else ""
        raise UsageError(
            f"All {len(wanted):,} images of the {what} must {have} in {path}, but "
            f"{len(missing):,} have none ({', '.join(missing[:_NAMED])}{more}); score them, or "
            "let them count as rejected with --missing reject."
        )
