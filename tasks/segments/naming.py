"""Names for segments from what sets them apart, in English and Korean.

A segment is scored on every theme (`words.THEMES`) by where its medians lie among all customers,
and called by the two themes that it leans on most; a third is added where two segments would else
have one name. A segment that goes on keeps the name it had, unless that has become untrue: a word
of it says the opposite of what its customers do now.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.errors import ConfigurationError
from tasks.findings import SegmentEvent, Trait, Words
from tasks.segments.profiles import Profile, profile_segments
from tasks.segments.words import (
    EVERYBODY,
    FEATURE_WORDS,
    ONE_TIME,
    THEMES,
    TYPICAL,
    Pole,
    Theme,
    word_feature,
)

# From -1 to 1: a theme's score from which a segment is called by it (its median customer is above
# about 65 % of all), from which it may tell two apart, and at which a name says the contrary.
_CALLED, _TELLING, _CONTRARY = 0.3, 0.1, -0.2
_MOST_THEMES = 3
_MOST_WORDS = 5
_MOST_TRAITS = 5
_OWN_WEIGHT = 0.75
_SAID_BY_ONE_TIME = {("frequency", False), ("frequency", True), ("spend", False)}
_CUSTOMERS = Words(en="customers", ko="고객")


@dataclass(frozen=True, slots=True)
class Naming:
    """The name and the traits of each segment id; `events` are the renamings of kept ones."""

    names: dict[str, Words]
    traits: dict[str, tuple[Trait, ...]]
    events: tuple[SegmentEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class _Portrait:
    """A segment's scores by theme, strongest first, and whether most ordered on one day only."""

    segment_id: str
    scores: Mapping[str, float]
    themes: tuple[Theme, ...]
    is_one_time: bool
    strength: float


def name_segments(
    matrix: ArrayLike,
    feature_names: Sequence[str],
    segment_ids: ArrayLike,
    *,
    meanings: Mapping[str, str] | None = None,
    kept: Mapping[str, Words] | None = None,
    overrides: Mapping[str, Words] | None = None,
    reserved: Mapping[str, Words] | None = None,
) -> Naming:
    """Name every segment that has customers; no two get one name in either language.

    `matrix` (n, p) holds the features in their own units, NaN for NULL; `segment_ids` (n,).
    `meanings` says a feature in English where `words` has no short form. `kept` are the names
    that segments had before, `overrides` those that a person has set, by segment id; `reserved`
    are names that no segment but that of the id may get. The order of rows does not matter.
    Raises ConfigurationError (78) where two overrides are one name.
    """
    profile = profile_segments(matrix, feature_names, segment_ids)
    overrides = dict(overrides or {})
    kept = {key: name for key, name in (kept or {}).items() if key in profile.segment_ids}
    _refuse_double(overrides)
    themes = [*THEMES, *_own_themes(np.asarray(matrix, dtype=np.float64), profile)]
    portraits = [_draw(profile, row, themes) for row in range(len(profile.segment_ids))]
    names = {key: name for key, name in overrides.items() if key in profile.segment_ids}
    taken = _Taken(overrides.values())
    for portrait in portraits:
        key = portrait.segment_id
        if key in names or key not in kept or _is_untrue(kept[key], portrait, themes):
            continue
        if taken.is_free(kept[key]):
            names[key] = kept[key]
            taken.add(kept[key])
    # The most pronounced choose first, so that they get the plain names.
    waiting = [p for p in portraits if p.segment_id not in names]
    for portrait in sorted(waiting, key=lambda p: (-p.strength, p.segment_id)):
        others = _Taken(
            name for key, name in (reserved or {}).items() if key != portrait.segment_id
        )
        name = next(
            name
            for name in _propose(portrait, len(portraits))
            if taken.is_free(name) and others.is_free(name)
        )
        names[portrait.segment_id] = name
        taken.add(name)
    meanings = meanings or {}
    return Naming(
        {key: names[key] for key in profile.segment_ids},
        {
            key: _find_traits(profile, row, themes, meanings)
            for row, key in enumerate(profile.segment_ids)
        },
        tuple(
            SegmentEvent(event="renamed", segment_id=key, related_ids=(), overlap_share=None)
            for key, name in kept.items()
            if names[key] != name
        ),
    )


class _Taken:
    """Names that are given; a name is free if it is new in both languages."""

    def __init__(self, names: Iterable[Words]) -> None:
        self._texts: set[str] = set()
        for name in names:
            self.add(name)

    def add(self, name: Words) -> None:
        self._texts |= {f"en {name.en.casefold()}", f"ko {name.ko.casefold()}"}

    def is_free(self, name: Words) -> bool:
        return not {f"en {name.en.casefold()}", f"ko {name.ko.casefold()}"} & self._texts


def _refuse_double(overrides: Mapping[str, Words]) -> None:
    for language in ("en", "ko"):
        texts = [getattr(name, language).casefold() for name in overrides.values()]
        if len(set(texts)) < len(texts):
            keys = sorted(
                key
                for key, name in overrides.items()
                if texts.count(getattr(name, language).casefold()) > 1
            )
            raise ConfigurationError(
                "Two segments are given one name.",
                found=f"segments {', '.join(keys)}",
                next_step="name each segment differently, in both languages",
            )


def _own_themes(values: NDArray[np.float64], profile: Profile) -> list[Theme]:
    """A theme for each column that we have no words for: more or less of it, or with or without."""
    themes = []
    for place, name in enumerate(profile.feature_names):
        if name in FEATURE_WORDS or profile.spread[place] == 0:
            continue
        plain = " ".join(re.sub(r"[^\w%-]|_", " ", name).split()[:2]) or f"column {place + 1}"
        column = values[:, place]
        if np.isin(column[~np.isnan(column)], (0.0, 1.0)).all():
            high = Pole(plain, f"{plain} 있는", f"{plain} 있고")
            low = Pole(f"non-{plain}", f"{plain} 없는", f"{plain} 없고")
        else:
            high = Pole(f"high {plain}", f"{plain} 높은", f"{plain} 높고")
            low = Pole(f"low {plain}", f"{plain} 낮은", f"{plain} 낮고")
        themes.append(Theme(name, _OWN_WEIGHT, {name: 1}, high, low))
    return themes


def _draw(profile: Profile, row: int, themes: Sequence[Theme]) -> _Portrait:
    scores: dict[str, float] = {}
    for theme in themes:
        found = [
            sign * (2 * float(profile.ranks[row, place]) - 1)
            for place, name in enumerate(profile.feature_names)
            if (sign := theme.features.get(name))
            and profile.spread[place] > 0
            and not np.isnan(profile.ranks[row, place])
        ]
        if found:
            # Rounded, so that the last bit of a sum decides no tie.
            scores[theme.name] = round(sum(found) / len(found), 6)
    weighed = [theme for theme in themes if abs(scores.get(theme.name, 0.0)) >= _TELLING]
    weighed.sort(key=lambda theme: -theme.weight * abs(scores[theme.name]))
    order_days = profile.medians[row, [n == "order_days_total" for n in profile.feature_names]]
    is_one_time = bool((order_days == 1).any())
    strength = sum(theme.weight * abs(scores[theme.name]) for theme in weighed[:2])
    return _Portrait(profile.segment_ids[row], scores, tuple(weighed), is_one_time, strength)


def _propose(portrait: _Portrait, segments: int) -> Iterator[Words]:
    """Names from the plainest to the numbered, without end."""
    if segments == 1:
        yield EVERYBODY
    # A one-time buyer is an occasional one and has spent little: it is not said twice.
    themes = [
        theme
        for theme in portrait.themes
        if not portrait.is_one_time
        or (theme.name, portrait.scores[theme.name] > 0) not in _SAID_BY_ONE_TIME
    ]
    called = [theme for theme in themes if abs(portrait.scores[theme.name]) >= _CALLED]
    base = called[:1] if portrait.is_one_time else called[:2]
    yield _compose(portrait, base)
    for theme in themes:
        if theme not in base and len(base) < _MOST_THEMES:
            yield _compose(portrait, [*base, theme])
    for second in called[2:]:
        for first in called[:2]:
            yield _compose(portrait, [first, second])
    plain, number = _compose(portrait, base), 2
    while True:
        yield Words(en=f"{plain.en} {number}", ko=f"{plain.ko} {number}")
        number += 1


def _compose(portrait: _Portrait, themes: Sequence[Theme]) -> Words:
    """`Frequent big spenders`, `자주 많이 사는 고객`: adjectives in their fixed order, a noun."""
    if not themes and not portrait.is_one_time:
        return TYPICAL
    place = {theme.name: position for position, theme in enumerate(THEMES)}
    ordered = sorted(themes, key=lambda theme: place.get(theme.name, len(place)))
    poles = [t.high if portrait.scores[t.name] > 0 else t.low for t in ordered]
    while len(poles) > 1 and len(_english(portrait, poles).split()) > _MOST_WORDS:
        poles = poles[:-1]
    return Words(en=_english(portrait, poles), ko=_korean(portrait, poles))


def _english(portrait: _Portrait, poles: Sequence[Pole]) -> str:
    noun = ONE_TIME.en if portrait.is_one_time else ""
    adjectives = []
    for pole in poles:
        if pole.noun and not noun:
            noun = pole.noun
        else:
            adjectives.append(pole.adjective)
    text = " ".join([*adjectives, noun or _CUSTOMERS.en])
    return text[0].upper() + text[1:]


def _korean(portrait: _Portrait, poles: Sequence[Pole]) -> str:
    adverbs = [pole.adverb for pole in poles if pole.adverb]
    parts = [(pole.ending, pole.joining) for pole in poles if not pole.adverb]
    if portrait.is_one_time:
        once, bought = ONE_TIME.ko.rsplit(" ", 1)
        parts.append((" ".join([once, *adverbs, bought]), ""))
    elif adverbs:
        parts.append((" ".join([*adverbs, "사는"]), ""))
    joined = [joining for _, joining in parts[:-1]]
    return " ".join([*joined, parts[-1][0], _CUSTOMERS.ko])


def _is_untrue(name: Words, portrait: _Portrait, themes: Sequence[Theme]) -> bool:
    """Whether a word of the name now says the contrary of what the segment is."""
    text = name.en.casefold()
    for theme in themes:
        score = portrait.scores.get(theme.name, 0.0)
        for pole, sign in ((theme.high, 1), (theme.low, -1)):
            said = any(
                re.search(rf"(?<![\w-]){re.escape(word.casefold())}(?![\w-])", text)
                for word in (pole.adjective, pole.noun)
                if word
            )
            if said and sign * score <= _CONTRARY:
                return True
    return False


def _find_traits(
    profile: Profile, row: int, themes: Sequence[Theme], meanings: Mapping[str, str]
) -> tuple[Trait, ...]:
    """The features that stand out most, one a theme, so that five say five things."""
    theme_of = {feature: theme.name for theme in themes for feature in theme.features}
    deviations = profile.deviations[row]
    distance = np.abs(profile.ranks[row] - 0.5)
    traits: dict[str, Trait] = {}
    for place in sorted(
        (p for p in range(len(distance)) if np.isfinite(deviations[p]) and distance[p] > 0),
        key=lambda p: (-round(float(distance[p]), 9), p),
    ):
        name = profile.feature_names[place]
        if len(traits) < _MOST_TRAITS and 2 * distance[place] >= _TELLING:
            traits.setdefault(
                theme_of.get(name, name),
                Trait(
                    feature=name,
                    words=word_feature(name, meanings),
                    median=float(profile.medians[row, place]),
                    overall_median=float(profile.overall[place]),
                    deviation=float(deviations[place]),
                ),
            )
    return tuple(traits.values())
