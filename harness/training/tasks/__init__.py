"""What examples ask of a model: a label, a label for each position, or tags.

A task says what a model's outputs look like, what their loss is, and what counts as right. Packed
and standard execution and evaluation all take these from here.
"""

from harness.training.tasks.base import Task, of, tasks
from harness.training.tasks.label import LABEL
from harness.training.tasks.tags import TAGS
from harness.training.tasks.tokens import TOKENS

__all__ = ["LABEL", "TAGS", "TOKENS", "Task", "of", "tasks"]
