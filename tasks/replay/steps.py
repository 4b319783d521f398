"""The steps of a replay, as its flow calls them."""

from __future__ import annotations

from tasks.replay.catching import find_caught
from tasks.replay.contacts import (
    ALWAYS,
    FIRST,
    RULE,
    SERVED,
    choose_contacts,
    find_scoring,
    keep_cutoffs,
    list_cutoffs,
    read_outcomes,
)
from tasks.replay.money import settle
from tasks.replay.page import publish_page
from tasks.replay.planting import Plant, deliver, read_plants, spoil
from tasks.replay.recording import (
    Told,
    alone,
    gate_decisions,
    gather,
    read_alerts,
    read_told,
    record_week,
    resume_moment,
)
from tasks.replay.slicing import cut_history
from tasks.replay.standin import (
    StandIn,
    find_policy,
    keep_policies,
    make_stand_in,
    write_deployment,
)
from tasks.replay.staying import (
    Stays,
    join_stays,
    read_chances,
    read_listed,
    say_assumption,
    without_stays,
    write_stays,
)
from tasks.replay.truth import compare_truth
from tasks.replay.weeks import Week, plan_weeks, read_every

__all__ = [
    "ALWAYS",
    "FIRST",
    "RULE",
    "SERVED",
    "Plant",
    "StandIn",
    "Stays",
    "Told",
    "Week",
    "alone",
    "choose_contacts",
    "compare_truth",
    "cut_history",
    "deliver",
    "find_caught",
    "find_policy",
    "find_scoring",
    "gate_decisions",
    "gather",
    "join_stays",
    "keep_cutoffs",
    "keep_policies",
    "list_cutoffs",
    "make_stand_in",
    "plan_weeks",
    "publish_page",
    "read_alerts",
    "read_chances",
    "read_every",
    "read_listed",
    "read_outcomes",
    "read_plants",
    "read_told",
    "record_week",
    "resume_moment",
    "say_assumption",
    "settle",
    "spoil",
    "without_stays",
    "write_deployment",
    "write_stays",
]
