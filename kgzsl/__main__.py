"""`python -m kgzsl` is the command `kgzsl`."""

from kgzsl.cli.main import main

if __name__ == "__main__":
    main()
