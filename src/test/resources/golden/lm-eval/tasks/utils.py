"""process_docs of the harness' hellaswag, by its own function."""

from lm_eval.tasks.hellaswag.utils import process_docs  # noqa: F401
