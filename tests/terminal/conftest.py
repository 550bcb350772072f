"""The fixtures that several files of this folder use."""

from tests.cli.labs import lab as lab
from tests.cli.labs import lr_lab as lr_lab
from tests.cli.labs import made_lab as made_lab
from tests.cli.labs import made_lr_lab as made_lr_lab
from tests.cli.labs import made_seeds_lab as made_seeds_lab
from tests.cli.labs import seeds_lab as seeds_lab
