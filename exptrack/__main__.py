"""Run the command line as ``python -m exptrack``, which works even if the script ``exptrack`` is not found."""

from exptrack.cli import main

if __name__ == "__main__":
    main(prog_name="exptrack")
