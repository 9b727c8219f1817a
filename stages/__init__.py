"""The stages of dvc.yaml. A copy of the workspace runs its own code.

DVC runs experiments in copies of the workspace, workers run stages in clones, and an editable
install points to one folder. So the `src` beside this folder comes first on the path.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
