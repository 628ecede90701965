"""The federation: charter, votes, cuts, states of commits, studies, View and Action; values and pure rules."""

from imagiq.federation.ballots import DoubleVote, ballot_for, double_votes, early_votes, preferred
from imagiq.federation.line import Line, line_of
from imagiq.federation.restart import Continue, Head, OpenFeed, ReadOnly, Start, at_start
from imagiq.federation.retention import Retention, forgettable, retention_in
from imagiq.federation.standing import Standing, State
from imagiq.federation.steps import Step, StudyHistory
from imagiq.federation.study import Named, Study, check_permitted, parse_study, study_recipe
from imagiq.federation.view import Action, Evaluate, Finished, Merge, Strategy, Train, View, Wait, Work, identity
from imagiq.federation.votes import Recovery, Vote, check_successor, recover_recipe, vote_recipe

__all__ = [
    "Action",
    "Continue",
    "DoubleVote",
    "Evaluate",
    "Finished",
    "Head",
    "Line",
    "Merge",
    "Named",
    "OpenFeed",
    "ReadOnly",
    "Recovery",
    "Retention",
    "Standing",
    "Start",
    "State",
    "Step",
    "Strategy",
    "Study",
    "StudyHistory",
    "Train",
    "View",
    "Vote",
    "Wait",
    "Work",
    "at_start",
    "ballot_for",
    "check_permitted",
    "check_successor",
    "double_votes",
    "early_votes",
    "forgettable",
    "identity",
    "line_of",
    "parse_study",
    "preferred",
    "recover_recipe",
    "retention_in",
    "study_recipe",
    "vote_recipe",
]
