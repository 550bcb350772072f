"""How the view looks: its layout and its colours.

The colours are those of the terminal: the 16 that everyone has, on its own background. So it fits a light
terminal and a dark one, and a terminal at the other end of a slow line.
"""

from __future__ import annotations

LEAST_COLUMNS, LEAST_LINES = 60, 16

CSS = """
Screen { layout: vertical; background: ansi_default; color: ansi_default; }
#head, #foot, #asked, #run-head, #tabs, #list-head { height: 1; width: 100%; }
#head { text-style: bold reverse; }
#foot { color: ansi_default; }
Prompt { display: none; height: auto; max-height: 8; }
#ask-line { height: 1; }
#ask-label { width: auto; height: 1; }
#ask-input { width: 1fr; height: 1; border: none; padding: 0; background: ansi_default; color: ansi_default; }
#ask-input .input--cursor { text-style: reverse; background: ansi_default; color: ansi_default; }
#ask-input .input--selection { text-style: reverse; }
#ask-help { height: auto; max-height: 7; width: 100%; display: none; }
#body { height: 1fr; }
#left { width: 38%; min-width: 31; max-width: 64; }
#right { width: 1fr; border-left: vkey ansi_bright_black; }
#runs, #charts, #page { height: 1fr; background: ansi_default; color: ansi_default; scrollbar-size: 1 1; }
#runs { overflow-x: hidden; scrollbar-size-horizontal: 0; }
#page { display: none; }
ScrollBar { background: ansi_default; }
.only-right #left, .only-left #right { display: none; }
.only-right #right { border-left: none; }
.only-left #left { width: 100%; max-width: 100%; }
#small { display: none; width: 100%; height: 100%; content-align: center middle; }
.small #body, .small #head, .small #foot, .small #asked, .small Prompt { display: none; }
.small #small { display: block; }
ModalScreen { align: center middle; }
#help, #confirm {
    background: ansi_default; color: ansi_default; border: round ansi_cyan; padding: 0 1;
    border-title-style: bold; max-width: 100%; max-height: 100%;
}
#help { width: 80; height: 44; scrollbar-size: 1 1; }
#confirm { width: 76; height: auto; }
#confirm Static, #help Static { height: auto; width: 100%; }
"""
