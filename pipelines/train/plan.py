"""What a training run is going to do and to need, said before it begins."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from facemill.model.data import tfdata
from facemill.model.networks import cost, registry
from facemill.model.networks.cost import Cost
from facemill.model.recipes.recipe import Recipe
from facemill.model.training import memory as run_memory
from facemill.model.training import precision
from facemill.model.training.devices import gpu_memory
from facemill.model.training.memory import Memory
from facemill.pipelines.train import cautions as settings
from facemill.transforms.core import memory

# A step goes through the network forward, and back for the gradients of weights and of outputs.
_PASSES = 3
# The estimate is right within this share, see docs/training.md.
_NEARLY = 0.8
_WORDS = {
    "program": "TensorFlow and the program",
    "weights": "weights of the network",
    "head": "weights of the head",
    "optimizer": "slots of the optimizer",
    "average": "average and best weights",
    "gradients": "gradients",
    "activations": "activations",
    "input": "records and images",
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run before it begins.

    Attributes:
        recipe: of the run, resolved.
        size: of its network.
        head: trained weights of its head.
        epoch_steps: steps of an epoch.
        steps: of the run.
        splits: of the dataset's manifest.
        memory: the estimate.
        usable: bytes that the process may use, or None.
        gpu: bytes that each GPU has, or None without a GPU.
        replicas: devices that share each batch.
    """

    recipe: Recipe
    size: Cost
    head: int
    epoch_steps: int
    steps: int
    splits: Mapping[str, Any]
    memory: Memory
    usable: int | None
    gpu: int | None
    replicas: int

    @property
    def warmup(self) -> int:
        """Steps in which the learning rate rises."""
        return round(self.recipe.warmup_epochs * self.epoch_steps)


def of(
    recipe: Recipe, manifest: Mapping[str, Any], replicas: int, target_size: int | None = None
) -> Plan:
    """The plan of a run; nothing but its network is built.

    Args:
        recipe: resolved.
        manifest: of the dataset.
        replicas: devices that share each batch.
        target_size: length of the teacher's embeddings, or None without a teacher.

    Raises:
        ParameterError: the dataset's images are too small for the network.
    """
    program = memory.resident() or 0
    with precision.layers_of(recipe.precision):
        network = registry.build(
            recipe.network,
            manifest["options"]["image_size"],
            recipe.embedding_size,
            recipe.dropout,
            recipe.squeeze_excitation,
        )
    epoch_steps = tfdata.steps_per_epoch(dict(manifest), recipe.batch_size)
    identities = manifest["splits"]["train"]["identities"]
    return Plan(
        recipe=recipe,
        size=cost.of(network),
        head=run_memory.head_weights(recipe, identities, target_size).trained,
        epoch_steps=epoch_steps,
        steps=recipe.steps or epoch_steps * recipe.epochs,
        splits=manifest["splits"],
        memory=run_memory.estimate(recipe, network, manifest, replicas, program, target_size),
        usable=memory.usable(),
        gpu=gpu_memory(),
        replicas=replicas,
    )


def lines(plan: Plan) -> list[str]:
    """The plan for people, a line for each thing."""
    recipe, needs = plan.recipe, plan.memory
    train, val = plan.splits["train"], plan.splits["val"]
    work = _PASSES * plan.size.flops * recipe.batch_size * plan.steps
    passes = plan.steps / plan.epoch_steps
    images = recipe.batch_size * plan.steps
    have = "" if plan.usable is None else f" of {memory.words(plan.usable)} that may be used"
    rows = [
        ("train on", f"{train['records']:,} images of {train['identities']:,} identities"),
        ("validate on", f"{val['records']:,} images of {val['identities']:,} identities"),
        ("steps", f"{plan.steps:,}, {passes:,.3g} epochs of {plan.epoch_steps:,}"),
        ("batch", f"{recipe.batch_size:,} images{_shares(plan)}"),
        ("network", f"{recipe.network}: {plan.size}"),
        ("head", f"{recipe.head}: {plan.head:,} weights"),
        ("operations", f"{_operations(work)} for {images:,} images, forward and back"),
        ("memory", f"about {memory.words(needs.total)}{have}"),
    ]
    if plan.gpu is not None:
        each = memory.words(needs.on_devices / plan.replicas)
        rows.append(("", f"{each} of it on each GPU, which has {memory.words(plan.gpu)}"))
    parts = [
        (f"  {_WORDS[name]}", memory.words(value))
        for name, value in dataclasses.asdict(needs).items()
        if value
    ]
    width = max(len(name) for name, _ in rows + parts)
    return [f"  {name:<{width}}  {value}" for name, value in rows + parts]


def cautions(plan: Plan) -> list[str]:
    """Sentences about settings that are most often mistakes, which the report shows too."""
    train = plan.splits["train"]
    return [
        *settings.cautions(plan.recipe, plan.steps, plan.warmup),
        *settings.repeats(plan.recipe, train["records"], train["identities"]),
    ]


def warnings(plan: Plan) -> list[str]:
    """All that should be known before the run begins."""
    about_memory = memory_warning(plan)
    return [*cautions(plan), *([about_memory] if about_memory else [])]


def memory_warning(plan: Plan) -> str | None:
    """A sentence about a run that cannot fit into memory, or only just; None of one that fits."""
    needed, have, where = plan.memory.total, plan.usable, "this process may use"
    if plan.gpu is not None:
        on_each = plan.memory.on_devices // plan.replicas
        if on_each > _NEARLY * plan.gpu:
            needed, have, where = on_each, plan.gpu, "each GPU has"
    if have is None or needed <= _NEARLY * have:
        return None
    verdict = "does not fit" if needed > have else "may not fit"
    return (
        f"The run {verdict} into memory: it takes about {memory.words(needed)}, and {where} "
        f"{memory.words(have)}; {_help(plan)}."
    )


def _help(plan: Plan) -> str:
    """What lowers the largest part."""
    parts = dataclasses.asdict(plan.memory)
    name = max(parts, key=parts.__getitem__)
    advice = {
        "head": "draw identities with `sample_identities`, or lower `embedding_size`",
        "activations": "lower `batch_size`, or compute it in parts with `accumulate`",
        "input": "lower `validation_pairs` or `batch_size`",
    }
    usual = "take a smaller `network`, or an `optimizer` with fewer slots"
    if name == "optimizer" and plan.head > plan.size.parameters:
        usual = advice["head"]
    return f"its largest part is {_WORDS[name]}; {advice.get(name, usual)}"


def _shares(plan: Plan) -> str:
    parts = plan.replicas * plan.recipe.accumulate
    return f" in {parts:,} parts" if parts > 1 else ""


def _operations(count: float) -> str:
    for unit in ("", "k", "M", "G", "T", "P"):
        if count < 1000:
            return f"{count:,.3g} {unit}FLOPs"
        count /= 1000
    return f"{count:,.3g} EFLOPs"
