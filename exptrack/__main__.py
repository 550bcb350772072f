"""Run the command ``exptrack`` by ``python -m exptrack``, also where no such script is on the path."""

from exptrack.cli import main

if __name__ == "__main__":
    main(prog_name="exptrack")
