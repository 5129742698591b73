"""The flags of every command: scripts rely on their names, defaults and choices."""

import argparse
import dataclasses
import importlib
import types
import typing
from typing import Any

import pytest

from facemill.model.recipes.recipe import Recipe as TrainingRecipe
from facemill.pipelines import cli
from facemill.pipelines.common.options import add_arguments
from facemill.pipelines.synthesize.faces.recipe import Recipe as SyntheticRecipe
from facemill.pipelines.train.options import TrainOptions
from facemill.transforms.core import cores
from facemill.transforms.sources.names import FORMATS

NETWORKS = (
    "plain|mobilefacenet|residual|compact|ir18|ir34|ir50|ir100|ghostfacenet"
    "|patches"  # of parts
)
HEADS = (
    "softmax|arcface|cosface|adaface|subcenter|combined|triplet|siamese"  # classify, compare
    "|mse|cosine"  # learn from a teacher
)
# A line for each flag: its default, then its type or choices, then its metavar.
FLAGS = {
    "ingest": """
        --input required
        --output required
        --format None FORMATS
        --root None
        --image-column None
        --label-column None
        --key None
        --identities True --no-identities
        --image-size 112 int
        --align center none|center|landmarks|detect
        --detector blazeface blazeface|mtcnn
        --crop-fraction 1.0 float
        --min-sharpness 0.0 float
        --min-contrast 0.0 float
        --brightness 0,255
        --dedup near off|exact|near|thorough
        --copy-difference 0.24 float
        --on-conflict drop drop|keep-majority|quarantine
        --min-images 1 int
        --max-images None int
        --balance repeated RULE
        --prefer hash hash|quality
        --split train=0.8,val=0.1,test=0.1
        --split-by identity identity|image
        --split-list repeated SPLIT=FILE
        --seed 1 int
        --scratch auto auto|disk|store
        --compare-input times times|contents
        --workers runner's int
        --include-identities None
        --exclude-identities None
        --match-names exact exact|folded
        --exclude-dataset None
        --append-to None
        --max-rejected 0.5 float
    """,
    "train": """
        --dataset required
        --output required
        --restart False --no-restart
        --identities merge merge|separate
        --aliases None FILE
        --teacher None
        --init None
        --init-head False --no-init-head
        --freeze repeated PATTERN
        --find-learning-rate False --no-find-learning-rate
        --dry-run False --no-dry-run
        --cpu-replicas 1 int
        --validate repeated NAME=PATH
        --export repeated FORMAT
        --worker-hosts None HOST:PORT,...
        --worker-index None int
        --recipe default default|demo|lfw|lfw_distilled|casia_mobilefacenet|casia_ir50|ms1m_ir100
        --backbone recipe's NETWORKS
        --head recipe's HEADS
        --dropout recipe's float
        --squeeze-excitation recipe's --no-squeeze-excitation
        --embedding-size recipe's int
        --margin recipe's float
        --scale recipe's float
        --margin-multiplier recipe's float
        --margin-cosine recipe's float
        --norm-concentration recipe's float
        --sub-centers recipe's int
        --label-smoothing recipe's float
        --sample-identities recipe's float
        --teacher-loss recipe's mse|cosine
        --teacher-weight recipe's float
        --epochs recipe's int
        --steps recipe's int
        --batch-size recipe's int
        --images-per-identity recipe's int
        --order recipe's deterministic|fast
        --accumulate recipe's int
        --synchronized-normalization recipe's --no-synchronized-normalization
        --precision recipe's float32|mixed_float16|mixed_bfloat16
        --optimizer recipe's gradient-descent|sgd|adam|adamw|lamb|lion
        --learning-rate recipe's float
        --warmup-epochs recipe's float
        --schedule recipe's constant|step|polynomial|cosine
        --milestones recipe's EPOCH,...
        --step-factor recipe's float
        --power recipe's float
        --momentum recipe's float
        --weight-decay recipe's float
        --clip-norm recipe's float
        --ema recipe's float
        --margin-warmup-epochs recipe's float
        --scale-warmup-epochs recipe's float
        --early-stopping recipe's int
        --flip recipe's --no-flip
        --crop recipe's float
        --color-jitter recipe's float
        --erase recipe's float
        --rotate recipe's float
        --hue recipe's float
        --saturation recipe's float
        --grayscale recipe's float
        --blur recipe's float
        --low-resolution recipe's float
        --jpeg-quality recipe's int
        --rand-augment recipe's int
        --rand-augment-magnitude recipe's float
        --flip-average recipe's --no-flip-average
        --validation-pairs recipe's int
        --seed recipe's int
    """,
    "detect": """
        --input required
        --output required
        --format None FORMATS
        --root None
        --image-column None
        --label-column None
        --key None
        --crops None DATASET
        --image-size 112 int
        --detector blazeface blazeface|mtcnn
        --scratch auto auto|disk|store
        --workers runner's int
        --max-rejected 0.5 float
    """,
    "score": """
        --input required
        --model required
        --output required
        --format None FORMATS
        --root None
        --image-column None
        --label-column None
        --key None
        --faces largest largest|all
        --since repeated EMBEDDINGS
        --flip-average False --no-flip-average
        --average-crops 1 int
        --partition None NAME
        --dtype float32 float32|float16|int8
        --batch-size 32 int
        --runtime auto auto|litert|onnxruntime|tensorflow
        --export-format None tflite|saved_model|onnx|keras|tflite_float16|tflite_dynamic|tflite_int8
        --scratch auto auto|disk|store
        --workers runner's int
        --max-rejected 0.5 float
    """,
    "match": """
        --output required
        --threshold None float
        --fmr None float
        --model None
        --memory 1GB BYTES
        --workers runner's int
        --probes None
        --gallery None
        --pairs None CSV
        --embeddings None
        --search exact exact|ivf|hnsw
        --top-k 10 int
        --partition None NAME
        --scratch auto auto|disk|store
    """,
    "enroll": """
        --embeddings required
        --output required
        --threshold None float
        --clusters None
    """,
    "compact": """
        --partitions required DIR
        --output required
    """,
    "cluster": """
        --embeddings required
        --output required
        --threshold None float
        --fmr None float
        --model None
        --memory 1GB BYTES
        --workers runner's int
        --method components components|whispers
        --since None CLUSTERS
        --neighbors 32 int
        --scratch auto auto|disk|store
    """,
    "evaluate": """
        --embeddings required
        --output required
        --protocol lfw lfw|pairs|bin|templates|identification|open-set|clustering
        --pairs None FILE
        --list None FILE
        --threshold-pairs None PAIRS
        --distractors None EMBEDDINGS
        --clusters None
        --groups None FILE
        --seed None int
        --model None
        --missing error error|reject
        --workers runner's int
    """,
    "synthesize": """
        --output required
        --identities 100 int
        --images-per-identity 20 int
        --long-tail None float EXPONENT
        --image-size 112 int
        --seed 0 int
        --start-identity 1 int
        --quality 92 int
        --plant repeated KIND=COUNT
        --pairs None FOLDSxPAIRS
        --workers cores int
    """,
    "import-model": """
        --file required
        --output required
        --preset None insightface|facenet|mobilefacenet
        --input-size None int
        --layout None nhwc|nchw
        --color None rgb|bgr
        --mean None X[,Y,Z]
        --scale None X[,Y,Z]
        --signature None
        --output-name None
        --normalize None --no-normalize
        --align None none|center|landmarks|detect
        --detector blazeface blazeface|mtcnn
        --crop-fraction 1.0 float
        --crop-raised 0.0 float
    """,
    "demo": """
        --output required
    """,
}


def options_of(command: str) -> type:
    return importlib.import_module(cli.module_of(command, "options")).OPTIONS


def described(action: argparse.Action) -> str:
    """A flag as a line of FLAGS."""
    if action.required:
        default = "required"
    elif isinstance(action, argparse._AppendAction):
        default = "repeated"
    else:
        default = str(action.default)
        if action.default is argparse.SUPPRESS:
            # That of a recipe, or one that depends on the runner.
            default = "runner's" if action.dest == "workers" else "recipe's"
    kind = action.type.__name__ if action.type else "|".join(action.choices or ())
    words = (action.option_strings[0], default, kind, *action.option_strings[1:])
    return " ".join(word for word in (*words, action.metavar or "") if word)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_names_defaults_and_choices_of_all_flags_are_as_listed(command):
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser, options_of(command))
    table = FLAGS[command].replace("FORMATS", "|".join(FORMATS)).replace("HEADS", HEADS)
    table = table.replace("NETWORKS", NETWORKS)
    table = table.replace(" cores ", f" {cores.usable()} ")
    assert [described(action) for action in parser._actions] == [
        line.strip() for line in table.strip().splitlines()
    ]


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_flag_has_a_help_text(command):
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser, options_of(command))
    assert all(action.help for action in parser._actions)


@pytest.mark.parametrize(
    "options", [*map(options_of, cli.COMMANDS), TrainingRecipe, SyntheticRecipe]
)
def test_defaults_are_of_their_field_s_type(options):
    hints = typing.get_type_hints(options)
    values: dict[str, Any] = dict.fromkeys((f.name for f in dataclasses.fields(options)), "given")
    if options is TrainOptions:
        values["dataset"] = ("given",)
    for field in dataclasses.fields(options):
        if field.default_factory is not dataclasses.MISSING:
            values[field.name] = field.default_factory()
        elif field.default is not dataclasses.MISSING:
            values[field.name] = field.default
        kind = hints[field.name]
        allowed = tuple(typing.get_origin(one) or one for one in typing.get_args(kind) or (kind,))
        origin = typing.get_origin(kind)
        expected = allowed if origin in (None, types.UnionType) else (origin,)
        assert isinstance(values[field.name], expected), field.name
    # They are in their ranges, too.
    options(**values)
