"""The Python runtime: the first program of a sandbox (python3 -I -S main.py).

`-I` keeps the environment and the user's site away, `-S` saves the site scan at boot;
the function's own directories join sys.path at INIT. See runtime/protocol/protocol.md.
This file is not cached as byte code, so it only starts what is.
"""

import sys

sys.path.append(__file__.rpartition("/")[0] + "/lib")

from wafer._runtime import main

main()
