"""``python -m exptrack`` is the command ``exptrack``, also where no script of that name is on the path."""

from exptrack.cli import main

if __name__ == "__main__":
    main(prog_name="exptrack")
