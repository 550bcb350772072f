"""The fixtures that several files of this folder use."""

from tests.cli.labs import lab as lab
from tests.cli.labs import lr_lab as lr_lab
from tests.cli.labs import seeds_lab as seeds_lab
