"""The steps of a replay, as its flow calls them."""

from __future__ import annotations

from tasks.replay.contacts import (
    ALWAYS,
    FIRST,
    RULE,
    SERVED,
    choose_contacts,
    list_cutoffs,
    read_outcomes,
)
from tasks.replay.money import settle
from tasks.replay.planting import Plant, deliver, read_plants, spoil
from tasks.replay.recording import (
    Told,
    gate_decisions,
    gather,
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
from tasks.replay.weeks import Week, plan_weeks, read_every

__all__ = [
    "ALWAYS",
    "FIRST",
    "RULE",
    "SERVED",
    "Plant",
    "StandIn",
    "Told",
    "Week",
    "choose_contacts",
    "cut_history",
    "deliver",
    "find_policy",
    "gate_decisions",
    "gather",
    "keep_policies",
    "list_cutoffs",
    "make_stand_in",
    "plan_weeks",
    "read_every",
    "read_outcomes",
    "read_plants",
    "read_told",
    "record_week",
    "resume_moment",
    "settle",
    "spoil",
    "write_deployment",
]
