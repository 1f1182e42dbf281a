"""Learners of an algorithm."""

from skirl.core.learner.learner_group import LearnerGroup

__all__ = ["LearnerGroup"]
