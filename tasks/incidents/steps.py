"""The steps of the work queue, as a flow calls them."""

from __future__ import annotations

from tasks.incidents.decisions import (
    check_author,
    check_reason,
    deciding,
    demand_unchanged,
    grant_waivers,
    is_decided,
    is_requested,
    make_decision,
    read_approved,
    read_request,
    request_release,
    stamp_of,
)
from tasks.incidents.queue import (
    find_incident,
    list_incidents,
    parse_name,
    read_history,
    reopen_incident,
    resolve_incident,
)
from tasks.incidents.releasing import (
    GAP_RULE,
    check_rows,
    choose_rules,
    end_of,
    failed_rules,
    plan_waivers,
    releases_rows,
)
from tasks.incidents.runs import report_killed_runs
from tasks.incidents.waivers import active_waivers, list_waivers
from tasks.orchestration import step

__all__ = [
    "GAP_RULE",
    "active_waivers",
    "check_author",
    "check_reason",
    "check_rows",
    "choose_rules",
    "deciding",
    "demand_unchanged",
    "end_of",
    "failed_rules",
    "find_incident",
    "grant",
    "is_decided",
    "is_requested",
    "list_incidents",
    "list_waivers",
    "make_decision",
    "parse_name",
    "plan_waivers",
    "read_approved",
    "read_history",
    "read_request",
    "releases_rows",
    "reopen",
    "report_killed_runs",
    "request",
    "resolve",
    "stamp_of",
]

grant = step(grant_waivers, name="grant waivers", retries=2)
request = step(request_release, name="ask for a second person", retries=2)
reopen = step(reopen_incident, name="reopen item", retries=2)
resolve = step(resolve_incident, name="resolve item", retries=2)
