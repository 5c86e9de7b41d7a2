"""The module that ``withal track`` starts in a new interpreter, to run the program."""

from withal.tracking.launch import main

if __name__ == "__main__":
    main()
