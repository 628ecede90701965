"""The federation: charter, votes, cuts, states of commits, studies, View and Action; values and pure rules."""

from imagiq.federation.ballots import DoubleVote, ballot_for, double_votes, early_votes, preferred
from imagiq.federation.line import Line, line_of
from imagiq.federation.standing import Standing, State
from imagiq.federation.steps import Step, StudyHistory
from imagiq.federation.study import Named, Study, check_permitted, parse_study, study_recipe
from imagiq.federation.view import Action, Evaluate, Finished, Merge, Strategy, Train, View, Wait, Work, identity
from imagiq.federation.votes import Recovery, Vote, check_successor, recover_recipe, vote_recipe

__all__ = [
    "Action",
    "DoubleVote",
    "Evaluate",
    "Finished",
    "Line",
    "Merge",
    "Named",
    "Recovery",
    "Standing",
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
    "ballot_for",
    "check_permitted",
    "check_successor",
    "double_votes",
    "early_votes",
    "identity",
    "line_of",
    "parse_study",
    "preferred",
    "recover_recipe",
    "study_recipe",
    "vote_recipe",
]
