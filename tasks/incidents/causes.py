"""Why something stands aside: from rule results or a refusal to one named cause.

A batch that breaks five rules at once mostly has one thing wrong with it. The most telling of the
broken rules names the cause, in a fixed order, so that the same trouble next week is the same item
and a thousand files with one trouble are one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tasks.handles import Cause, IncidentLevel, RuleResult

# The most telling first: what explains the others stands before what follows from it. A wrong
# column makes every other figure wrong; a wrong unit moves medians and fills ranges; a batch that
# was delivered twice doubles its volume.
_CODES: tuple[tuple[str, str], ...] = (
    (r"columns", "SCHEMA"),
    (r"rows", "EMPTY"),
    (r"one_currency|currency_allowed|(new_category|category_mix):currency", "CURRENCY"),
    (r"shift|median", "UNIT_SHIFT"),
    (r".*_finite", "NONFINITE"),
    (r"base_rate", "LABEL"),
    (r"null_share|null_jump", "NULLS"),
    (r".*_repeated", "DUP_KEY"),
    (r"published_before", "DUPLICATE"),
    (r"customer_reused", "ID_REUSE"),
    (r".*_present", "MISSING"),
    (r"time_shift", "TZ"),
    (r".*_plausible", "FUTURE"),
    (r".*_after_.*", "ORDER_OF_TIMES"),
    (r"return_sign|price_.*|.*_in_range", "RANGE"),
    (r"product_code", "PRODUCT_CODE"),
    (r"customers_known", "UNKNOWN_CUSTOMERS"),
    (r"new_category|category_mix", "DRIFT"),
    (r"time_span", "TIME_SPAN"),
    (r"volume", "VOLUME"),
    (r"freshness", "STALE"),
    (r"quarantined_share", "BAD_ROWS"),
)
_UNKNOWN = "RULE"

# Rules about a batch without which nothing else can be judged: nobody can waive them.
STRUCTURAL_RULES = frozenset({"columns", "rows"})

# What mostly lies behind a code, in words for the person who is woken. Never a certainty.
_LIKELY: Mapping[str, str] = {
    "SCHEMA": "The source's export was changed: a column was renamed, dropped or added.",
    "EMPTY": "The export ran before its data were there, or its filter selected nothing.",
    "CURRENCY": "Another shop's or country's export came in this one's place, or prices of two"
    " currencies were joined without conversion.",
    "NONFINITE": "A division by zero or an overflow at the source.",
    "LABEL": "The outcome was inverted, or is not complete yet for the newest customers.",
    "NULLS": "A join or a mapping at the source lost its key; the column's values are gone.",
    "DUP_KEY": "A part was exported or joined twice.",
    "DUPLICATE": "A file that was published before was delivered again under another name.",
    "ID_REUSE": "A customer id was given to somebody new after its owner had left.",
    "MISSING": "A required value is missing at the source: guests without an account, or a join"
    " that found no partner.",
    "FUTURE": "A default date (1970, 9999) stands for a missing one, or a clock or a time zone is"
    " wrong.",
    "ORDER_OF_TIMES": "Two time columns were swapped, or are in different time zones.",
    "RANGE": "Corrections and test entries, or a sign that changed its meaning.",
    "PRODUCT_CODE": "Lines that are no product: postage, fees, manual entries.",
    "UNKNOWN_CUSTOMERS": "The ids are of another system, or the customers' own delivery is late.",
    "DRIFT": "A campaign, a new assortment or channel, or a code list that was renamed.",
    "TIME_SPAN": "The export covers another period than usual.",
    "VOLUME": "A part of the data is missing or doubled, or a shop or channel opened or closed.",
    "STALE": "An old file was delivered again, or the source stands still.",
    "BAD_ROWS": "Many small faults at once; look at the rules that set most rows aside.",
    "MALFORMED": "The file was cut off while it was written or copied, or a text holds a quote or"
    " a delimiter that was not escaped.",
    "ENCODING": "The export's character set was changed, or the file went through another program.",
    "TYPE": "A text got into a column of numbers or dates, often from a manual entry.",
    "FORMAT": "The export was made with another country's settings: decimal comma, day and month.",
    "TZ": "Times came without their offset, or within the hour in which clocks are changed; or the"
    " export ran in another time zone than it did.",
    "LIMIT": "The file is far larger than this source's files are.",
    "BOMB": "The file unpacks to far more than it could honestly hold. It may be an attack.",
    "CONFLICT": "The source delivered a part again with other content: a correction, or a mistake"
    " in a file's name.",
    "CHANGED": "Somebody or something changed the file while it was being worked on.",
    "NAME": "Somebody renamed a file by hand, linked one, or tries what a name can do.",
    "GAP": "The source's job did not run, or its file did not arrive.",
    "LEAK": "A feature knows the outcome: a column was filled after the customer had left.",
    "CRASHED": "The process was killed from outside, or the machine went down. Nothing of it is"
    " lost: what was done is found done.",
    "OOM": "The machine has less memory than the settings take, or something else takes it.",
    "SERVICE": "A database or a server is down, or its address has changed.",
    "MLFLOW": "MLflow or its database is down. The champion serves meanwhile; nothing is learnt.",
    "ORCH": "Prefect's server is down. The work is done all the same; Prefect does not show it.",
    "DISK": "The disk is full, read-only, or belongs to somebody else.",
    "CORRUPT": "A file of the state directory was changed, cut off or deleted.",
    "INTEGRITY": "A stored model or its signature was changed since it was let in. It may be an"
    " attack.",
    "BUG": "A bug of ours; the log that the run named holds the trace.",
    "SAMPLE_RATIO": "Customers of one arm are lost on the way: a filter, a join or an export that"
    " differs between the arms.",
    "ROLLOUT_INCOMPLETE": "A source is late for one arm, so that its outcomes are not all there.",
    "ROLLOUT_HARM": "The challenger does worse by a guardrail; all are back with the champion.",
    "ROLLOUT_PLAN": "Too few customers or too rare an outcome for the effect that is looked for.",
    "BOTH_ARMS": "A customer was contacted, scored or grouped by both arms; they are left out.",
    "CHALLENGER_FAILED": "The challenger throws, hangs or answers unsoundly; it is taken back.",
}
_RATIO = re.compile(r"ratio ([\d.,]+(?:e[+-]?\d+)?)")
# A power of ten within this factor is taken for a change of unit.
_UNIT_TOLERANCE = 1.25


def name_code(rule: str, column: str = "") -> str:
    """The code of the fault list that a broken rule stands for, of this column or of any."""
    place = _place(rule, column)
    return _CODES[place][1] if place < len(_CODES) else _UNKNOWN


def cause_of_stop(source: str, results: Sequence[RuleResult], headline: str = "") -> Cause:
    """The cause of a stopped batch: its most telling broken rule that stops."""
    stopping = [result for result in results if not result.passed and result.severity == "stop"]
    failed = stopping or [result for result in results if not result.passed]
    first = min(
        failed, key=lambda r: (_place(r.rule, r.column), -r.failed_rows, r.column), default=None
    )
    if first is None:
        return _cause(source, _UNKNOWN, "stop", "", headline or "the batch was stopped")
    code = name_code(first.rule, first.column)
    # Some missing values are set aside one by one; so many that it stops are a column gone.
    code = "NULLS" if code == "MISSING" else code
    return _cause(source, code, "stop", first.column, headline or _say(first))


def causes_of_held(source: str, results: Sequence[RuleResult]) -> list[Cause]:
    """One cause a rule that set rows of a published batch aside."""
    held = [r for r in results if not r.passed and r.severity == "quarantine" and r.failed_rows]
    return [
        Cause(
            key=f"{source}|held|{result.rule}",
            code=name_code(result.rule, result.column),
            level="held",
            source=source,
            column=result.column,
            headline=_say(result),
        )
        for result in held
    ]


def cause_of_rejection(source: str, code: str, column: str, reason: str) -> Cause:
    """The cause of a delivery that could not be read, or that is in conflict."""
    return _cause(source, code, "stop", column, reason)


def cause_of_name(source: str, headline: str = "") -> Cause:
    """The cause of a file that cannot be a delivery, for its name or because it is a link."""
    return _cause(source, "NAME", "fault", "", headline)


def explain_likely(code: str, observed: Sequence[str] = ()) -> str:
    """What mostly lies behind it; for a shift of unit, which unit the ratio speaks for."""
    if code == "UNIT_SHIFT":
        return _explain_shift(observed)
    return _LIKELY.get(code, "No usual cause is known for this rule; the rows say most.")


def _explain_shift(observed: Sequence[str]) -> str:
    # The rule itself compares several quantiles, and says the unit where they agree.
    said = next((text for text in observed if "looks like" in text), None)
    if said is not None:
        return f"The unit was changed: it {said[said.index('looks like') :]}."
    for text in observed:
        found = _RATIO.search(text)
        ratio = float(found[1].rstrip(".,").replace(",", "")) if found else 0.0
        for factor, words in (
            (100.0, "amounts came in cents (or pence) instead of whole units"),
            (1000.0, "amounts came in thousandths, or a decimal point was lost"),
            (0.01, "amounts came in hundreds, or were divided by 100 twice"),
            (0.001, "amounts came in thousands"),
        ):
            if ratio and 1 / _UNIT_TOLERANCE <= ratio / factor <= _UNIT_TOLERANCE:
                return (
                    f"The unit was changed: {words}, since values are {ratio:.3g} times as usual."
                )
    return "The unit, the currency or the price level was changed, or only some of the goods came."


def _cause(source: str, code: str, level: IncidentLevel, column: str, headline: str) -> Cause:
    return Cause(f"{source}|{level}|{code}|{column}", code, level, source, column, headline)


def _place(rule: str, column: str) -> int:
    for place, (pattern, _) in enumerate(_CODES):
        if re.fullmatch(pattern, rule) or re.fullmatch(pattern, f"{rule}:{column}"):
            return place
    return len(_CODES)


def _say(result: RuleResult) -> str:
    name = (
        result.rule if result.rule.startswith(result.column) else f"{result.column} {result.rule}"
    )
    if result.observed:
        limit = f", limit {result.limit}" if result.limit else ""
        return f"{name}: {result.observed}{limit}"
    share = f" ({result.failed_rows / result.checked_rows:.1%})" if result.checked_rows else ""
    return f"{name}: {result.failed_rows:,} of {result.checked_rows:,} rows{share}"
