from facemill.model.training import layer_names

PATHS = ["conv2d_7/kernel", "conv2d_7/bias", "prelu/alpha", "conv2d_9/kernel", "block/dense_3/bias"]


def test_layers_of_one_kind_are_numbered_in_their_order():
    assert layer_names.of_variables(PATHS) == [
        *("conv2d 1", "conv2d 1", "prelu", "conv2d 2", "block/dense")
    ]


def test_names_do_not_depend_on_the_models_that_were_built_before():
    later = [path.replace("_7", "_17").replace("_9", "_18") for path in PATHS]
    assert layer_names.variable_names(later) == layer_names.variable_names(PATHS)


def test_variables_of_an_optimizer_have_unique_names():
    paths = ["adam/conv2d_7_kernel_momentum", "adam/conv2d_9_kernel_momentum", "adam/iteration"]
    assert layer_names.variable_names(paths) == [
        "adam/conv2d_kernel_momentum",
        "adam/conv2d_kernel_momentum (2)",
        "adam/iteration",
    ]
