"""python -m fincache: the command line."""

from fincache.cli import main

if __name__ == "__main__":
    main()
