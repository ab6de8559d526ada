"""The Python zygote: boots once for a base image and forks itself into sandboxes (see lib/wafer/_zygote.py)."""

import sys

sys.path.append(__file__.rpartition("/")[0] + "/lib")
sys.argv = [__file__.rpartition("/")[0] + "/main.py"]

from wafer._zygote import main

main()
