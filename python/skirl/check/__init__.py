"""The checker for environments; `skirl.check_env` is its short name."""

from skirl.check.checker import check_env
from skirl.check.main import main
from skirl.check.report import Finding, Report, Where

__all__ = ["Finding", "Report", "Where", "check_env", "main"]
