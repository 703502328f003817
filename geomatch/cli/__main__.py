"""`python -m geomatch.cli`: the command line where no script is installed."""

import sys

from geomatch.cli import main

sys.exit(main())
