"""What ``withal track`` starts: a fresh interpreter, in which the program runs."""

from withal.tracking.launch import main

if __name__ == "__main__":
    main()
