"""`python -m controller` is `kajitori`."""

from controller.cli.app import main

if __name__ == "__main__":
    main()
