"""completion: the script that makes a shell complete `fincache`: commands, options, segments, keys.

The scripts are click's, and so is the conversation (the shell runs the program with _FINCACHE_COMPLETE set); what segments and
keys there are is asked then, so completion knows what is there now. bash has a script of our own, because it cuts words at
colons, and keys are full of them: the line goes to the program whole, and what stands before the last colon is taken off the
answers.
"""

from __future__ import annotations

import os
import sys

import click
from click.shell_completion import BashComplete, add_completion_class, get_completion_class, split_arg_string

from fincache.cli import COMPLETION_VARIABLE

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "fincache"

BASH_SCRIPT = """\
%(complete_func)s() {
    local line="${COMP_LINE:0:COMP_POINT}" response type value prefix=""
    local word="${line##*[[:space:]]}"
    [[ $COMP_WORDBREAKS == *:* && $word == *:* ]] && prefix="${word%%:*}:"
    COMPREPLY=()
    response=$(env COMP_WORDS="$line" %(complete_var)s=bash_complete "$1")
    while IFS=, read -r type value; do
        case $type in
        dir) compopt -o dirnames ;;
        file) compopt -o default ;;
        plain) COMPREPLY+=("${value#"$prefix"}") ;;
        esac
    done <<<"$response"
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class WholeLineBash(BashComplete):
    """bash, told the line up to the cursor instead of words."""

    source_template = BASH_SCRIPT

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the last, and the last, which may be empty."""
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)
        incomplete = "" if not words or line[-1:].isspace() else words.pop()
        return words[1:], incomplete


def answer_shell() -> None:
    """Makes the program answer bash by WholeLineBash."""
    add_completion_class(WholeLineBash, "bash")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash   eval "$(fincache completion bash)"               in ~/.bashrc (bash 4.4 or newer)
    zsh    eval "$(fincache completion zsh)"                in ~/.zshrc
    fish   fincache completion fish | source                in ~/.config/fish/config.fish
    """  # noqa: D301 -- \b is click's mark for lines that are not to be filled
    kind = WholeLineBash if shell == "bash" else get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click has no completion for {shell}.")
    script = kind(context.find_root().command, {}, PROGRAM, COMPLETION_VARIABLE)
    # Not .source(): for bash it runs the bash that is on the path to check its version, and this may be for another machine.
    sys.stdout.write(script.source_template % script.source_vars())
