"""completion: the script that makes a shell complete `fincache`: commands, options, segments, keys.

click writes the scripts and answers the shell's questions (the program runs itself with _FINCACHE_COMPLETE set); what segments
and keys there are is asked then, so completion knows what is there now.
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "fincache"
VARIABLE = "_FINCACHE_COMPLETE"


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
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click has no completion for {shell}.")
    script = kind(context.find_root().command, {}, PROGRAM, VARIABLE)
    # Not .source(): for bash it runs the bash that is on the path to check its version, and this may be made on another machine.
    click.echo(script.source_template % script.source_vars())
