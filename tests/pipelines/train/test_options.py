import argparse
import dataclasses
import importlib

import pytest

from facemill.model.recipes.choices import CLASSIFIERS, RECIPES
from facemill.model.recipes.recipe import Recipe
from facemill.pipelines import cli
from facemill.pipelines.common.options import add_arguments, from_arguments
from facemill.pipelines.train.options import TrainOptions
from facemill.transforms.core.errors import UsageError

# Every flag that changes a value of the recipe, with one that no recipe has.
CHANGES = {
    "--backbone": ("network", "plain"),
    "--head": ("head", "softmax"),
    # No recipe's network is refused dropout of 0.
    "--dropout": ("dropout", 0.0),
    "--embedding-size": ("embedding_size", 36),
    "--margin": ("margin", 0.123),
    "--scale": ("scale", 17.0),
    "--margin-multiplier": ("margin_multiplier", 1.2),
    "--margin-cosine": ("margin_cosine", 0.12),
    "--norm-concentration": ("norm_concentration", 0.5),
    "--sub-centers": ("sub_centers", 5),
    "--label-smoothing": ("label_smoothing", 0.1),
    "--sample-identities": ("sample_identities", 0.25),
    "--teacher-loss": ("teacher_loss", "mse"),
    "--teacher-weight": ("teacher_weight", 2.5),
    "--epochs": ("epochs", 77),
    "--steps": ("steps", 1234),
    "--batch-size": ("batch_size", 48),
    "--images-per-identity": ("images_per_identity", 4),
    "--order": ("order", "fast"),
    "--accumulate": ("accumulate", 4),
    "--precision": ("precision", "mixed_bfloat16"),
    "--optimizer": ("optimizer", "adam"),
    "--learning-rate": ("learning_rate", 0.0123),
    "--warmup-epochs": ("warmup_epochs", 0.25),
    "--schedule": ("schedule", "polynomial"),
    "--milestones": ("milestones", (3.0, 4.5)),
    "--step-factor": ("step_factor", 0.3),
    "--power": ("power", 1.5),
    "--momentum": ("momentum", 0.8),
    "--weight-decay": ("weight_decay", 0.0321),
    "--clip-norm": ("clip_norm", 3.5),
    "--ema": ("ema", 0.99),
    "--margin-warmup-epochs": ("margin_warmup_epochs", 1.5),
    "--scale-warmup-epochs": ("scale_warmup_epochs", 2.5),
    "--early-stopping": ("early_stopping", 7),
    "--crop": ("crop", 0.33),
    "--color-jitter": ("color_jitter", 0.44),
    "--erase": ("erase", 0.66),
    "--rotate": ("rotate", 12.5),
    "--hue": ("hue", 0.05),
    "--saturation": ("saturation", 0.35),
    "--grayscale": ("grayscale", 0.15),
    "--blur": ("blur", 1.25),
    "--low-resolution": ("low_resolution", 0.55),
    "--jpeg-quality": ("jpeg_quality", 45),
    "--rand-augment": ("rand_augment", 3),
    "--rand-augment-magnitude": ("rand_augment_magnitude", 6.5),
    "--validation-pairs": ("validation_pairs", 99),
    "--seed": ("seed", 8),
}

# Refused where a recipe learns from a teacher alone.
OF_CLASSIFIERS = ("--label-smoothing", "--sample-identities", "--teacher-weight")


def parsed(*flags: str) -> TrainOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser, TrainOptions)
    given = parser.parse_args(["--dataset", "d", "--output", "o", *flags])
    return from_arguments(TrainOptions, given)


def refused(capsys, *flags: str) -> str:
    """The one sentence that `facemill train` prints."""
    assert cli.main(["train", "--dataset", "d", "--output", "o", *flags]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("facemill: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize("name", RECIPES)
def test_a_named_recipe_is_used_unchanged(name):
    found = parsed("--recipe", name)
    assert found.recipe == importlib.import_module(f"facemill.model.recipes.{name}").RECIPE
    assert (found.dataset, found.output, found.cpu_replicas) == (("d",), "o", 1)


def test_without_a_name_the_default_recipe_is_used():
    assert parsed().recipe == Recipe()


@pytest.mark.moderate
@pytest.mark.parametrize("flag", CHANGES)
def test_a_flag_changes_its_own_value_only(flag):
    field, value = CHANGES[flag]
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    assert parsed(flag, text).recipe == dataclasses.replace(Recipe(), **{field: value})
    for name in RECIPES:
        if parsed("--recipe", name).recipe.head not in CLASSIFIERS and flag in OF_CLASSIFIERS:
            continue
        assert getattr(parsed("--recipe", name, flag, text).recipe, field) == value


def test_switches_go_both_ways():
    assert parsed("--no-flip", "--flip-average").recipe == Recipe(flip=False, flip_average=True)
    assert parsed("--flip", "--no-flip-average", "--recipe", "lfw").recipe.flip_average is False


def test_every_value_of_the_recipe_has_a_flag():
    fields = {field for field, _ in CHANGES.values()} | {
        *("flip", "flip_average"),
        *("squeeze_excitation", "synchronized_normalization"),
    }
    assert fields == {field.name for field in dataclasses.fields(Recipe)}


def test_help_names_the_recipes_and_the_flags(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "{" + ",".join(RECIPES) + "}" in text
    for flag in (*CHANGES, "--cpu-replicas", "--flip", "--no-flip-average"):
        assert flag in text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--recipe", "none"), "invalid choice: 'none'"),
        (("--backbone", "vgg"), "invalid choice: 'vgg'"),
        (("--dropout", "0.95"), "--dropout must be 0 to 0.9, got 0.95"),
        (
            ("--backbone", "mobilefacenet", "--dropout", "0.2"),
            "--dropout must be given for one of plain, residual, compact, ir18, ir34, ir50, "
            "ir100, ghostfacenet, patches alone, but the network is mobilefacenet; leave it out",
        ),
        (
            ("--backbone", "plain", "--squeeze-excitation"),
            "--squeeze-excitation must be given for one of ir18, ir34, ir50, ir100 alone, but the "
            "network is plain",
        ),
        (("--epochs", "0"), "--epochs must be 1 to 10000, got 0"),
        (("--epochs", "x"), "invalid int value: 'x'"),
        (("--epochs", "2", "--steps", "9"), "--steps: not allowed with argument --epochs"),
        (("--steps", "-1"), "--steps must be 1 to 100000000, got -1"),
        (("--batch-size", "0"), "--batch-size must be 1 to 65536, got 0"),
        (("--learning-rate", "nan"), "--learning-rate must be 1e-08 to 1000000.0, got nan"),
        (("--crop", "0.7"), "--crop must be 0 to 0.5, got 0.7"),
        (("--seed", "3000000000"), "--seed must be 0 to 2147483647, got 3000000000"),
        (("--cpu-replicas", "0"), "--cpu-replicas must be 1 to 64, got 0"),
        (("--cpu-replicas", "3"), "--batch-size must be a multiple of --cpu-replicas (3), got 64"),
        (
            ("--identities", "separate"),
            "--identities must be given with several datasets, but --dataset names one; leave it",
        ),
        (("--aliases", "a.csv"), "--aliases must be given with several datasets, but --dataset"),
        (("--worker-hosts", "a:1,b:2"), "--worker-hosts and --worker-index must be given together"),
        (("--worker-index", "1"), "together, got --worker-index alone; give both"),
        (
            ("--worker-hosts", "a:1,b", "--worker-index", "1"),
            "--worker-hosts must be a list such as host1:2222,host2:2222, got 'b'",
        ),
        (
            ("--worker-hosts", "a:1,b:2", "--worker-index", "2"),
            "--worker-index must be 0 to 1, as there are 2 workers, got 2",
        ),
        (
            ("--synchronized-normalization", "--accumulate", "2"),
            "--accumulate must be 1 with synchronized normalization",
        ),
        (("--schedule", "step"), "--milestones must name one or more epochs for the schedule step"),
        (("--milestones", "3,x"), "--milestones must be epochs such as 10,16, got '3,x'"),
        (("--milestones", "3,0"), "--milestones must be epochs above 0, got 3.0,0.0"),
        (("--accumulate", "5"), "--batch-size must be a multiple of --accumulate (5), got 64"),
        (("--validate", "lfw.bin"), "--validate must be NAME=PATH"),
        (("--validate", "val=lfw.bin"), "is not val and is given once, got 'val=lfw.bin'"),
        (("--validate", "a=x", "--validate", "a=y"), "is given once, got 'a=y'"),
        (("--validate", "a/b=x"), "NAME is of letters, digits, dots, - or _"),
        (("--export", "onnx", "tflight"), "--export must name formats of tflite, saved_model"),
        (("--init-head",), "--init-head must come with --init, whose head it keeps"),
        (("--runner", "x"), "takes no option --runner"),
    ],
)
def test_a_bad_value_is_refused_in_one_sentence(capsys, flags, said):
    assert said in refused(capsys, *flags)


def test_options_made_in_code_are_checked_too():
    with pytest.raises(UsageError, match="--cpu-replicas must be 1 to 64, got 65"):
        TrainOptions(("d",), "o", cpu_replicas=65)


def test_sets_and_formats_keep_an_order_of_their_own():
    found = parsed("--validate", "lfw=a/lfw.bin", "--validate", "cfp=s3://b/x=y.bin")
    assert found.validate == (("lfw", "a/lfw.bin"), ("cfp", "s3://b/x=y.bin"))
    assert (parsed().validate, parsed().export) == ((), ("tflite", "saved_model"))
    # The SavedModel is always written.
    assert parsed("--export", "tflite_int8", "onnx").export == (
        *("saved_model", "onnx", "tflite_int8"),
    )


def test_a_dry_run_of_a_rate_test_is_refused(capsys):
    said = refused(capsys, "--dry-run", "--find-learning-rate")
    assert "--dry-run must stand without --find-learning-rate" in said
