"""``python -m saddlepoint.cli``."""

import sys

from saddlepoint.cli.app import main

sys.exit(main())
