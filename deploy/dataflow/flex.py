"""What the launcher of the Flex Template runs (FLEX_TEMPLATE_PYTHON_PY_FILE of the Dockerfile)."""

import sys

from facemill.pipelines import flex_launcher

if __name__ == "__main__":
    sys.exit(flex_launcher.main())
