"""What a reader of the reasons must know beside the figures, in both languages."""

from __future__ import annotations

from tasks.findings import Words

ASSOCIATION = Words(
    en=(
        "Every reason is an association: it goes together with leaving. Whether acting on it keeps"
        " anybody, only an experiment shows."
    ),
    ko=(
        "모든 이유는 이탈과의 연관(association)입니다."
        " 조치로 고객이 남는지는 실험으로만 알 수 있습니다."
    ),
)
RULE = Words(
    en="A rule is served, which has no drivers: the reasons are those of the models fitted again.",
    ko="현재 규칙이 사용되고 있어 요인이 없습니다. 이유는 다시 학습한 모델에서 나온 것입니다.",
)
NO_SCORES = Words(
    en="The cut-off was not scored: money at risk is the probability times a customer's value.",
    ko="이 시점의 점수가 없어 위험 금액은 확률과 고객 가치의 곱으로 계산했습니다.",
)
NO_SEGMENTS = Words(
    en="The customers of this cut-off are in no segments yet: all are taken as one, 'all'.",
    ko="이 시점의 세그먼트가 아직 없어 전체를 하나('all')로 보았습니다.",
)
ALIKE = Words(
    en=(
        "What is the same for everybody tonight, as the day of the year, moves all scores alike and"
        " is no reason of one customer's."
    ),
    ko=(
        "오늘 모든 고객에게 같은 값(예: 날짜)은 전체 점수를 함께 움직이므로"
        " 개별 이유에서 제외합니다."
    ),
)
NOTHING_HOLDS = Words(
    en="No customer's reason held when the model was fitted again.",
    ko="모델을 다시 학습했을 때 유지된 이유가 없습니다.",
)
NO_JOURNEY = Words(
    en="The last steps before the lapse cannot be seen: no feature of this deployment shows one.",
    ko="이탈 직전의 행동을 볼 수 있는 변수가 이 배포에 없습니다.",
)
NO_TIME = Words(
    en=(
        "The set says who left and not when: there is no lead time, no journey, and survival only"
        " by `reasons.tenure_feature`."
    ),
    ko=(
        "이 자료에는 이탈 시점이 없어 사전 경고 기간과 여정은 알 수 없고, 생존 곡선은"
        " `reasons.tenure_feature`로만 그립니다."
    ),
)
TENURE = Words(
    en=(
        "Survival is over the tenure at the time of the record: customers who left before the"
        " record began are missing, which makes it look better than it was."
    ),
    ko=(
        "생존 곡선은 기록 시점의 이용 기간 기준이며, 그 전에 떠난 고객이 빠져"
        " 실제보다 좋아 보입니다."
    ),
)
NO_SURVIVAL = Words(
    en="Nobody can be followed to a lapse: the history is too short.",
    ko="기록이 짧아 이탈까지 따라갈 수 있는 고객이 없습니다.",
)
NO_LEAD = Words(
    en="There is no lead time: the history is too short to warn from models of an earlier time.",
    ko="과거 시점의 모델로 경고하기에는 기록이 짧아 사전 경고 기간을 알 수 없습니다.",
)


def sampled(share: float) -> Words:
    """The refits learnt from a part of the customers."""
    return Words(
        en=f"The models were fitted again on {share:.0%} of the customers, drawn by a hash.",
        ko=f"모델은 해시로 뽑은 고객 {share:.0%}로 다시 학습했습니다.",
    )


def unmoved(customers: int) -> Words:
    """Who has no reason since nothing pushes towards leaving."""
    return Words(
        en=f"Of those without a stable reason, nothing pushes {customers:,} towards leaving.",
        ko=f"안정적 이유가 없는 고객 중 {customers:,}명은 이탈 쪽으로 미는 요인이 없습니다.",
    )


def followed_since(day: str, days: int) -> Words:
    """From when the survival view starts."""
    return Words(
        en=f"Survival follows who was there on {day} for {days} days; the lapse is the moment at"
        " which a pause has outlasted the horizon.",
        ko=f"생존 곡선은 {day}의 고객을 {days}일간 따라갑니다. 이탈은 공백이 기준 기간을 넘긴"
        " 시점입니다.",
    )


def past_segments(agreement_share: float) -> Words:
    """How the segments of an earlier cut-off were told."""
    return Words(
        en=(
            "Segments of the past are told from where customers stood among the others then, by a"
            f" tree that learnt tonight's: it puts {agreement_share:.0%} of held-out customers"
            " where they are."
        ),
        ko=(
            "과거 시점의 세그먼트는 오늘의 세그먼트를 학습한 트리가"
            " 당시의 상대 위치로 판정한 것이며,"
            f" 검증 고객의 {agreement_share:.0%}를 맞게 분류합니다."
        ),
    )


def warned_by(day: str, share: float, limit: float) -> Words:
    """From which model the lead time is."""
    return Words(
        en=(
            f"Lead time: at each cut-off from {day} on, the riskiest {share:.0%} of who was still"
            f" there are flagged (above {limit:.2f} in the middle one) by one model fitted on"
            " outcomes known by the first; a flag counts only if it stayed up until the lapse."
        ),
        ko=(
            f"사전 경고 기간: {day} 이후 각 시점에서, 그때까지 알려진 결과로 학습한 한 모델이"
            f" 위험 상위 {share:.0%}(중간 시점 기준 {limit:.2f} 초과)로 표시한 고객이며,"
            " 이탈까지 유지된 경고만 셉니다."
        ),
    )
