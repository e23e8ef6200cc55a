"""What the command line prints with: results to standard output, errors and progress to standard error."""

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def fail(message: str) -> None:
    """Print one clear line about what went wrong."""
    err.print(f"[bold red]error:[/] {message}", markup=True)
