"""What the command line prints with: results to standard output, errors and progress to standard error."""

from rich.console import Console
from rich.markup import escape

out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def fail(message: str) -> None:
    """Print one clear line about what went wrong."""
    err.print(f"[bold red]error:[/] {escape(message)}")
