"""``python -m withal``: the command line where no script is installed."""

from withal.cli import main

if __name__ == "__main__":
    main()
