"""Parts that the reports of searches and comparisons have in common."""

from __future__ import annotations

from collections.abc import Sequence

MARKDOWN = "report.md"
JSON = "report.json"
PICTURE = "report.png"

TABLES = {
    "Outcome": {
        "metric": ("validation {monitor}", ".4f"),
        "best_epoch": ("at epoch", ".1f"),
        "test_metric": ("test {monitor}", ".4f"),
        "steps_to_target": ("steps to loss {target}", ".0f"),
        "final_loss": ("final training loss", ".4f"),
        "step_ms": ("ms per step", ".1f"),
    },
    "What clipping does to the gradient": {
        "clipped": ("steps clipped", ".1%"),
        "clipped_tensors": ("tensors", ".1%"),
        "clipped_elements": ("elements", ".1%"),
        "cosine": ("cosine", ".4f"),
        "retained_energy": ("retained energy", ".1%"),
        "gradient_norm": ("median norm", ".3g"),
        "threshold": ("median threshold", ".3g"),
    },
    "Updates and weights": {
        "update_cosine": ("update cosine", ".3f"),
        "sign_flips": ("sign flips", ".1%"),
        "skipped": ("steps skipped", ".2%"),
        "zeros": ("exact zeros", ".1%"),
        "zero_units": ("zero units", ".1%"),
        "effective_parameters": ("effective weights", ".1%"),
    },
}
"""For every table its columns: the name of the figure, its title and its format."""
COLUMNS = {name: column for table in TABLES.values() for name, column in table.items()}
"""The columns of all tables."""
AXIS_LABELS = {
    "clipped": "share of steps clipped",
    "cosine": "cosine, raw and clipped",
}
"""For figures that both kinds of reports plot, the label of their axis."""


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
