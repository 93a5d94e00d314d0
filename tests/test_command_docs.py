"""docs/commands.md is what the table says."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_document_is_up_to_date() -> None:
    """Whoever changes commands.def runs the generator, too."""
    command = [sys.executable, ROOT / "tools" / "make_command_docs.py", "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
